import Meridian
import MeridianCheckers
import MeridianCore

/// Rows at home in every region and rows of a global table, written blindly and read at every consistency. What stale
/// reads show is judged against the timestamps of the writes' receipts (`StaleReadCheck`); writes and fresh reads of
/// single rows, those of the global table from each region's own replica, make a history of linearizable registers.
struct StaleWorkload: Workload {
    let model = HistoryModel.register
    private let counters: Table<HomedRow>
    private let settings: Table<RegisterRow>
    private let regions: [Region]
    private let notes = Notes()

    private static let counterKeys = 6
    private static let settingKeys = 3
    /// Keys of the global table lie above those of the other.
    private static let settingBase = 100

    /// Only the world's thread uses it.
    private final class Notes: @unchecked Sendable {
        var check = StaleReadCheck()
        /// Of what clients wrote and saw, as they would hand it on.
        var tokens: [(text: String, timestamp: Timestamp)] = []
        var receipts: [Timestamp] = []
    }

    init(_ topology: Topology) {
        regions = topology.regions
        counters = Table("counters", key: \.id, locality: .regionalByRow(\.region), survival: .best(topology))
        settings = Table("settings", key: \.id, locality: .global)
    }

    func setUp(_ world: SimulatedWorld) async throws {
        let database = world.database(in: regions[0])
        try await database.create(counters)
        try await database.create(settings)
    }

    func operation(_ client: WorkloadClient) async {
        switch client.world.randomNumber(below: 8) {
        case 0, 1, 2: await write(client)
        case 3, 4: await readFresh(randomKey(client), client)
        default: await readStale(client)
        }
    }

    private var keys: [Int] {
        Array(0..<Self.counterKeys) + (0..<Self.settingKeys).map { Self.settingBase + $0 }
    }

    private func randomKey(_ client: WorkloadClient) -> Int { keys[client.world.randomNumber(below: keys.count)] }
    private func home(_ key: Int) -> Region { regions[key % regions.count] }

    private func write(_ client: WorkloadClient) async {
        let (key, value) = (randomKey(client), client.recorder.uniqueValue())
        await client.record(.write(.int(key), value)) {
            do {
                let receipt = try await client.database.write(deadline: client.deadline) { transaction in
                    if key >= Self.settingBase {
                        try await transaction.upsert(RegisterRow(id: key, value: value), into: settings)
                    } else {
                        let row = HomedRow(id: key, region: home(key).rawValue, value: value)
                        try await transaction.upsert(row, into: counters)
                    }
                }
                notes.check.note(.init(key: key, value: value, timestamp: receipt.timestamp))
                notes.tokens.append((receipt.token.description, receipt.timestamp))
                notes.receipts.append(receipt.timestamp)
            } catch let error as MeridianError where error.commitOutcome == .unknown {
                notes.check.noteUnknown(key: key, value: value)
                throw error
            }
            return .write(.int(key), value)
        }
    }

    private func readFresh(_ key: Int, _ client: WorkloadClient) async {
        await client.record(.read(.int(key), nil)) {
            let value = try await client.database.read(deadline: client.deadline) { transaction in
                key >= Self.settingBase
                    ? try await transaction.get(key, from: settings)?.value
                    : try await transaction.get(key, from: counters, in: home(key))?.value
            }
            return .read(.int(key), value)
        }
    }

    /// All rows of both tables as of one time.
    private func readStale(_ client: WorkloadClient) async {
        let now = client.world.engine.trueTime
        let (name, consistency, bound) = choose(client, now)
        do {
            let read = try await client.database.read(consistency, deadline: client.deadline) { transaction in
                // Either table can be the one that fixes the timestamp.
                let isCountersFirst = client.world.randomNumber(below: 2) == 0
                var values: [Int: Int] = [:]
                if isCountersFirst { for row in try await transaction.scan(counters) { values[row.id] = row.value } }
                for row in try await transaction.scan(settings) { values[row.id] = row.value }
                if !isCountersFirst { for row in try await transaction.scan(counters) { values[row.id] = row.value } }
                if let token = transaction.token, let timestamp = transaction.timestamp {
                    notes.tokens.append((token.description, timestamp))
                }
                return StaleReadCheck.Read(
                    name: name, timestamp: transaction.timestamp ?? .zero, notBefore: bound, values: values)
            }
            notes.check.note(read)
        } catch let error as MeridianError {
            if error.code == .corruption { client.recorder.troubles.append("\(error)") }
        } catch {
            client.recorder.troubles.append("\(error)")
        }
    }

    private func choose(_ client: WorkloadClient, _ now: Timestamp) -> (String, ReadConsistency, Timestamp) {
        let ages = [1, 50, 200, 1000, 5000, 14_000]
        let age = Duration.milliseconds(ages[client.world.randomNumber(below: ages.count)])
        let past = now.advanced(byNanoseconds: -age.nanoseconds)
        switch client.world.randomNumber(below: 6) {
        case 0: return ("a strong read", .strong, now)
        case 1: return ("a read of \(age) ago", .exactStaleness(age), past)
        case 2, 3: return ("a read of \(age) ago at most", .boundedStaleness(age), past)
        case 4:
            guard !notes.receipts.isEmpty else { break }
            let timestamp = notes.receipts[client.world.randomNumber(below: notes.receipts.count)]
            return ("a read at a receipt", .at(timestamp), timestamp)
        default:
            // The newest are the hardest.
            guard !notes.tokens.isEmpty else { break }
            let recent = notes.tokens.suffix(8)
            let (text, timestamp) = Array(recent)[client.world.randomNumber(below: recent.count)]
            guard let token = CausalToken(text) else { preconditionFailure("a token does not survive its text") }
            return ("a read after a token", .after(token), timestamp)
        }
        return ("a strong read", .strong, now)
    }

    func finish(_ client: WorkloadClient) async {
        for key in keys { await readFresh(key, client) }
        for _ in 0..<3 { await readStale(client) }
    }

    func anomaly() -> String? { notes.check.anomaly(keys: keys) }
}
