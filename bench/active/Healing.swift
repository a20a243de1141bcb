import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// Two regions that were cut off from each other, both written meanwhile, and the link comes back.
///
/// Each side writes 55 % of the rows, so that a tenth of them were written on both. A round counts from the moment at
/// which the link is back until each copy has all that the other had committed by then.
struct Healing {
    let report: FigureReport
    let rows: Int
    let rounds: Int
    private static let regions: [Region] = ["us-east-1", "eu-west-1"]
    private static let batch = 100

    /// - Returns: how much is wrong in the end.
    func run() async throws -> Int {
        let topology = try Topology.aws(Self.regions)
        let cluster = try await EmbeddedCluster(topology: topology)
        let databases = Self.regions.map { cluster.database(in: $0) }
        try await databases[0].create(Profile.table)
        let times = Latencies()
        var processor: [Double] = []
        for round in 0..<rounds {
            try await databases[0].waitUntilConverged(Profile.table)
            cluster.isolate(Self.regions[0])
            let shared = rows / 20
            let halves = [0..<(rows / 2 + shared), (rows / 2 - shared)..<rows]
            for (half, db) in zip(halves, databases) { try await write(half, round, db) }
            await Pause.sleep(for: .seconds(1))
            let before = BenchRun.processorSeconds()
            let healed = ContinuousClock.now
            cluster.heal(Self.regions[0])
            try await databases[0].waitUntilConverged(Profile.table)
            let time = ContinuousClock.now - healed
            processor.append(BenchRun.processorSeconds() - before)
            times.record(time)
            BenchRun.note("heal \(round + 1)/\(rounds): \(Int(time.milliseconds)) ms")
        }
        let roundTrip = Double(topology.matrix.roundTripNanoseconds(from: Self.regions[0], to: Self.regions[1])) / 1e6
        report.add("active.heal.rows", Double(rows), "1")
        report.add("active.heal.roundTrip", roundTrip, "ms")
        report.add("active.heal.p50", times.percentile(50), "ms", .atMost, 2 * roundTrip + 100)
        report.add("active.heal.max", times.percentile(100), "ms")
        report.add("active.heal.processor", processor.sorted()[rounds / 2] / Double(rows) * 1e6, "µs/row")
        let wrong = try await check(databases)
        report.add("active.heal.wrongRows", Double(wrong), "1", .atMost, 0)
        await cluster.shutdown()
        return wrong
    }

    private func write(_ ids: Range<Int>, _ round: Int, _ db: Database) async throws {
        for start in stride(from: ids.lowerBound, to: ids.upperBound, by: Self.batch * 4) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<4 {
                    let first = start + part * Self.batch
                    let last = min(first + Self.batch, ids.upperBound)
                    guard first < last else { continue }
                    group.addTask {
                        try await db.write { transaction in
                            for id in first..<last {
                                var row =
                                    try await transaction.get(id, from: Profile.table)
                                    ?? Profile(id: id, name: "", visits: 0, data: String(repeating: "x", count: 64))
                                row.visits += 1
                                row.name = "\(db.region) \(round)"
                                try await transaction.upsert(row, into: Profile.table)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// Rows that differ between the copies, or whose counters are not what was added.
    private func check(_ databases: [Database]) async throws -> Int {
        var copies: [[Int: Profile]] = []
        for db in databases {
            let rows = try await db.read(deadline: .seconds(30)) { try await $0.scan(Profile.table) }
            copies.append(Dictionary(uniqueKeysWithValues: rows.map { ($0.id, $0) }))
        }
        let shared = rows / 20
        let both = (rows / 2 - shared)..<(rows / 2 + shared)
        return (0..<rows).count { id in
            copies[0][id] != copies[1][id] || copies[0][id]?.visits != rounds * (both.contains(id) ? 2 : 1)
        }
    }
}
