import Meridian
import MeridianCheckers
import MeridianCore

/// Sessions whose regions die: every client writes and reads rows of all home regions through a session of its own, and
/// hands its token to others.
///
/// Writes, and strong reads of sticky sessions and past all sessions, make a history of linearizable registers: a
/// commit that a session repeats through another region must happen once. Reads after tokens are judged by the receipts
/// (`StaleReadCheck`): never before what the session itself wrote, or was told of.
struct SessionWorkload: Workload {
    let model = HistoryModel.register
    private let counters: Table<HomedRow>
    private let regions: [Region]
    private let notes = Notes()

    private static let keyCount = 6

    /// One client's session, and what it must see at least.
    private struct Client {
        let router: RegionRouter
        let session: Session
        var notBefore = Timestamp.zero
    }

    /// Only the world's thread uses it.
    private final class Notes: @unchecked Sendable {
        var check = StaleReadCheck()
        var clients: [Int: Client] = [:]
        /// What sessions have handed on, and the timestamp that it proves.
        var tokens: [(text: String, timestamp: Timestamp)] = []
    }

    init(_ topology: Topology) {
        regions = topology.regions
        counters = Table("counters", key: \.id, locality: .regionalByRow(\.region), survival: .best(topology))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        try await world.database(in: regions[0]).create(counters)
    }

    func operation(_ client: WorkloadClient) async {
        do {
            let own = try own(client)
            switch client.world.randomNumber(below: 10) {
            case 0: await own.router.measure()
            case 1: try observe(client, own)
            case 2, 3, 4, 5: await write(client, own)
            case 6, 7: await readFresh(client) { try await client.database.read(deadline: client.deadline, $0) }
            default: await read(client, own)
            }
        } catch {
            client.recorder.troubles.append("\(error)")
        }
    }

    func finish(_ client: WorkloadClient) async {
        guard let own = try? own(client) else { return }
        for _ in 0..<3 { await read(client, own) }
    }

    func anomaly() -> String? { notes.check.anomaly(keys: Array(0..<Self.keyCount)) }

    // MARK: Operations

    /// The client's session: of three clients of a region one is sticky, one carries a token, one is homed.
    private func own(_ client: WorkloadClient) throws -> Client {
        if let known = notes.clients[client.process] { return known }
        var configuration = RoutingConfiguration()
        configuration.attemptTimeout = .milliseconds(1500)
        configuration.coolDown = .seconds(1)
        let router = try RegionRouter(client.database, configuration: configuration)
        let home = regions[client.process % regions.count]
        let strategies: [ReadYourWrites] = [.causal, .sticky, .homeRegion(home)]
        let made = Client(router: router, session: try router.session(strategies[client.process % strategies.count]))
        notes.clients[client.process] = made
        return made
    }

    private func home(_ key: Int) -> Region { regions[key % regions.count] }

    private func learn(_ timestamp: Timestamp, _ client: WorkloadClient) {
        guard let known = notes.clients[client.process] else { return }
        notes.clients[client.process]?.notBefore = max(known.notBefore, timestamp)
    }

    private func observe(_ client: WorkloadClient, _ own: Client) throws {
        guard own.session.strategy != .sticky, !notes.tokens.isEmpty else { return }
        let recent = Array(notes.tokens.suffix(8))
        let (text, timestamp) = recent[client.world.randomNumber(below: recent.count)]
        guard let token = CausalToken(text) else { preconditionFailure("a token does not survive its text") }
        try own.session.observe(token)
        learn(timestamp, client)
    }

    private func write(_ client: WorkloadClient, _ own: Client) async {
        let key = client.world.randomNumber(below: Self.keyCount)
        let value = client.recorder.uniqueValue()
        await client.record(.write(.int(key), value)) {
            do {
                let receipt = try await own.session.write(deadline: client.deadline) { transaction in
                    let row = HomedRow(id: key, region: home(key).rawValue, value: value)
                    try await transaction.upsert(row, into: counters)
                }
                notes.check.note(.init(key: key, value: value, timestamp: receipt.timestamp))
                notes.tokens.append((receipt.token.description, receipt.timestamp))
                learn(receipt.timestamp, client)
            } catch let error as MeridianError where error.commitOutcome == .unknown {
                notes.check.noteUnknown(key: key, value: value)
                throw error
            }
            return .write(.int(key), value)
        }
    }

    private func read(_ client: WorkloadClient, _ own: Client) async {
        if own.session.strategy == .sticky, own.session.token != nil {
            return await readFresh(client) { try await own.session.read(deadline: client.deadline, $0) }
        }
        let bound = notes.clients[client.process]?.notBefore ?? .zero
        do {
            let read = try await own.session.read(deadline: client.deadline) { transaction in
                var values: [Int: Int] = [:]
                for row in try await transaction.scan(counters) { values[row.id] = row.value }
                return StaleReadCheck.Read(
                    name: "a session (\(own.session.strategy))", timestamp: transaction.timestamp ?? .zero,
                    notBefore: bound, values: values)
            }
            notes.check.note(read)
            // It never unsees what it has seen, unless it carries no token.
            if own.session.strategy != .sticky { learn(read.timestamp, client) }
        } catch let error as MeridianError {
            if error.code == .corruption { client.recorder.troubles.append("\(error)") }
        } catch {
            client.recorder.troubles.append("\(error)")
        }
    }

    /// Reads a row strongly, through the session or past it.
    private func readFresh(
        _ client: WorkloadClient, _ read: ((ReadTransaction) async throws -> Int?) async throws -> Int?
    ) async {
        let key = client.world.randomNumber(below: Self.keyCount)
        await client.record(.read(.int(key), nil)) {
            let value = try await read { try await $0.get(key, from: counters, in: home(key))?.value }
            return .read(.int(key), value)
        }
    }
}
