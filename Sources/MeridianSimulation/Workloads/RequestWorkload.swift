import Meridian
import MeridianCheckers
import MeridianCore

/// Requests as impatient clients make them: under ids that are repeated, at once and later, through the same region and
/// others, whatever the first call said; with deadlines that pass and callers that are cancelled; with closures that
/// look first, and closures that draw the key of what they insert.
///
/// Appends to lists are judged as those of `append-wide`: what is told failed is seen nowhere, what is acknowledged is
/// there once, and the client has the reads of the run that has committed. All calls of one id must be answered alike.
/// Increments of counters of an active-active table are counted in the end: one for each id, in every copy.
struct RequestWorkload: Workload {
    struct CountRow: Codable, Sendable {
        var id: Int
        var hits: Int
    }

    struct NumberRow: Codable, Sendable { var id: Int }

    /// Only the world's thread uses it.
    private final class Notes: @unchecked Sendable {
        var anomaly: String?
        /// Ids of increments that were acknowledged, and those of which nobody was told what became of them.
        var counted: Set<RequestID> = []
        var uncertain: Set<RequestID> = []
        var isFinished = false

        func report(_ text: String) { anomaly = anomaly ?? text }
    }

    let model = HistoryModel.append
    let rule = "a request has one outcome"
    private let lists: Table<ListRow>
    private let counts: Table<CountRow>
    private let counters: Table<CountRow>
    private let numbers: Table<NumberRow>
    private let spread: RowSpread
    private let regions: [Region]
    private let notes = Notes()
    private static let keys = 6
    private static let longest = 40

    init(_ topology: Topology) {
        spread = RowSpread(topology, isWide: true)
        regions = topology.regions
        lists = Table("lists", key: \.id, locality: spread.locality(\.region), survival: .best(topology))
        counts = Table("counts", key: \.id, convergence: .columns(.counter(\.hits)))
        counters = Table("counters", key: \.id, locality: .regional(in: topology.regions[0]))
        numbers = Table("numbers", key: \.id, locality: .regional(in: topology.regions.last ?? topology.regions[0]))
    }

    func setUp(_ world: SimulatedWorld) async throws {
        let database = world.database(in: regions[0])
        try await database.create(lists)
        try await database.create(numbers)
        try await database.write { try await $0.insert(CountRow(id: 0, hits: 0), into: counters) }
        try await database.create(counts)
    }

    func operation(_ client: WorkloadClient) async {
        switch client.world.randomNumber(below: 8) {
        case 0, 1, 2: await append(client)
        case 3: await appendImpatiently(client)
        case 4: await appendUntilCancelled(client)
        case 5: await drawNumber(client)
        default: await count(client)
        }
    }

    // MARK: Lists

    private func steps(_ client: WorkloadClient) -> [TransactionStep] {
        let world = client.world
        let epoch = Int(world.now.nanoseconds / 20_000_000_000) * Self.keys
        var steps: [TransactionStep] = []
        for _ in 0...world.randomNumber(below: 3) {
            let key = HistoryKey.int(epoch + world.randomNumber(below: Self.keys))
            steps.append(
                world.randomNumber(below: 3) > 0 ? .append(key, client.recorder.uniqueValue()) : .readList(key, nil))
        }
        return steps
    }

    /// Does the steps. What it appends it looks for first: it never appends twice by itself.
    private func body(_ steps: [TransactionStep]) -> @Sendable (Transaction) async throws -> [TransactionStep] {
        let (lists, spread) = (lists, spread)
        return { transaction in
            var seen: [TransactionStep] = []
            for step in steps {
                switch step {
                case .append(.int(let id), let value):
                    let home = spread.home(of: id)
                    var row =
                        try await transaction.get(id, from: lists, in: home)
                        ?? ListRow(id: id, region: home.rawValue, values: [])
                    if row.values.count >= Self.longest { throw WorkloadClient.Abandoned() }
                    if row.values.contains(value) { throw WorkloadClient.Abandoned() }
                    row.values.append(value)
                    try await transaction.upsert(row, into: lists)
                    seen.append(step)
                case .readList(.int(let id), _):
                    let row = try await transaction.get(id, from: lists, in: spread.home(of: id))
                    seen.append(.readList(.int(id), row?.values))
                case .append, .readList, .write, .read: preconditionFailure("a step of another workload")
                }
            }
            return seen
        }
    }

    /// Under an id that is used again, whatever the first call said.
    private func append(_ client: WorkloadClient) async {
        let steps = steps(client)
        let body = body(steps)
        await client.record(.transaction(steps)) {
            .transaction(try await repeatedly(client) { try await $0.transact(id: $1, deadline: $2, body) })
        }
    }

    private func appendImpatiently(_ client: WorkloadClient) async {
        let steps = steps(client)
        let deadline = Duration.milliseconds(client.world.randomNumber(below: 800))
        await client.record(.transaction(steps)) {
            .transaction(try await client.database.transact(deadline: deadline, body(steps)).result)
        }
    }

    private func appendUntilCancelled(_ client: WorkloadClient) async {
        let steps = steps(client)
        let patience = Duration.milliseconds(client.world.randomNumber(below: 800))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await client.record(.transaction(steps)) {
                    .transaction(try await client.database.transact(deadline: client.deadline, body(steps)).result)
                }
            }
            group.addTask { await client.world.sleep(for: patience) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Makes a call under an id, and some more of the same.
    /// - Returns: what the first one that succeeded has returned.
    /// - Throws: the first call's error if none did, of unknown outcome: of an id that is used again nobody knows.
    private func repeatedly<Result: Sendable & Equatable>(
        _ client: WorkloadClient,
        _ call: (Database, RequestID, Duration) async throws -> (result: Result, receipt: Receipt)
    ) async throws -> Result {
        let world = client.world
        let id = RequestID(
            high: UInt64(world.randomNumber(below: .max)), low: UInt64(world.randomNumber(below: .max)))
        var outcome: (result: Result, receipt: Receipt)?
        var failure: (any Error)?
        for round in 0...world.randomNumber(below: 3) {
            var database = client.database
            if round > 0 {
                // Ids are remembered for longer.
                await world.sleep(for: .milliseconds(world.randomNumber(below: 3) * world.randomNumber(below: 4_000)))
                database = world.database(in: regions[world.randomNumber(below: regions.count)])
            }
            let deadlines = [Duration.milliseconds(300), .seconds(2), client.deadline]
            do {
                let next = try await call(database, id, deadlines[world.randomNumber(below: deadlines.count)])
                guard let first = outcome else {
                    outcome = next
                    continue
                }
                if first.receipt.timestamp != next.receipt.timestamp {
                    notes.report(
                        "a request was acknowledged as of \(first.receipt.timestamp.rawValue), and again as of "
                            + "\(next.receipt.timestamp.rawValue)")
                } else if first.result != next.result {
                    notes.report("a request that was repeated has returned \(first.result), and then \(next.result)")
                }
            } catch {
                if let error = error as? MeridianError, outcome != nil, error.commitOutcome == .notCommitted {
                    notes.report("a request was acknowledged, and then told that it is not committed: \(error)")
                }
                if outcome != nil, error is WorkloadClient.Abandoned {
                    notes.report("a request was acknowledged, and then answered by its closure's own error")
                }
                if failure == nil || (failure as? MeridianError)?.commitOutcome != .unknown { failure = error }
            }
        }
        if let outcome { return outcome.result }
        throw failure ?? WorkloadClient.Abandoned()
    }

    // MARK: Numbers

    /// No order of these transactions lets one find its key taken.
    private func drawNumber(_ client: WorkloadClient) async {
        do {
            try await client.database.write(deadline: client.deadline) { transaction in
                guard var counter = try await transaction.get(0, from: counters) else { return }
                counter.hits += 1
                try await transaction.insert(NumberRow(id: counter.hits), into: numbers)
                try await transaction.update(counter, in: counters)
            }
        } catch let error as MeridianError where error.code == .duplicateKey || error.code == .rowNotFound {
            notes.report("a row under a number that was drawn in the same transaction: \(error)")
        } catch {}
    }

    // MARK: Counts

    private func count(_ client: WorkloadClient) async {
        let row = client.world.randomNumber(below: 3)
        let counts = counts
        var ids: Set<RequestID> = []
        do {
            _ = try await repeatedly(client) { database, id, deadline in
                ids.insert(id)
                let receipt = try await database.write(id: id, deadline: deadline) { transaction in
                    if var found = try await transaction.get(row, from: counts) {
                        found.hits += 1
                        try await transaction.update(found, in: counts)
                    } else {
                        try await transaction.insert(CountRow(id: row, hits: 1), into: counts)
                    }
                }
                return (0, receipt)
            }
            notes.counted.formUnion(ids)
        } catch {
            notes.uncertain.formUnion(ids)
        }
    }

    func finish(_ client: WorkloadClient) async {
        guard !notes.isFinished else { return }
        notes.isFinished = true
        do {
            try await client.database.waitUntilConverged(counts, deadline: .seconds(20))
            for region in regions {
                let total = try await client.world.database(in: region).read { transaction in
                    try await transaction.scan(counts).reduce(0) { $0 + $1.hits }
                }
                let most = notes.counted.count + notes.uncertain.count
                if total < notes.counted.count || total > most {
                    notes.report(
                        "\(notes.counted.count) increments were acknowledged, \(notes.uncertain.count) may have "
                            + "happened, and \(region) counts \(total)")
                }
            }
        } catch {
            notes.report("after the faults: \(error)")
        }
    }

    func anomaly() -> String? { notes.anomaly }
}
