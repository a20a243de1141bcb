import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianRuntime

/// A mix like YCSB's A, half reads and half read-modify-writes of a row, with keys drawn by Zipf's law with exponent
/// 0.99, against the same mix with keys drawn evenly; and both again with every tenth write changing a second row too,
/// at home in the other region, 13 ms away: whoever wants a row then waits for distances.
///
/// Rows are at home in two regions, and each client asks for rows of its own region.
struct Contention {
    struct Row: Codable, Sendable { var id: Int; var region: String; var count: Int }

    let report: FigureReport
    let duration: Duration
    private static let regions: [Region] = ["us-east-1", "us-east-2"]
    private static let rows = 2_000
    private static let clients = 16

    private struct Outcome: Sendable {
        var operations = 0
        var attempts = 0
        var mostAttempts = 0
        var writes = 0
    }

    func run() async throws {
        let cluster = try await TransactionsBench.cluster(Self.regions)
        let table = Table<Row>("ycsb", key: \.id, locality: .regionalByRow(\.region))
        for (position, region) in Self.regions.enumerated() {
            let database = cluster.database(in: region)
            for start in stride(from: 0, to: Self.rows, by: 200) {
                try await database.write { tx in
                    for id in start..<(start + 200) {
                        let row = Row(id: id * 2 + position, region: region.rawValue, count: 0)
                        try await tx.insert(row, into: table)
                    }
                }
            }
        }
        let writes =
            try await measure("transactions", wide: nil, cluster, table)
            + measure("transactions.wide", wide: 10, cluster, table)
        // Nothing acknowledged is lost, and nothing is counted twice.
        let counted = try await cluster.database(in: Self.regions[0]).read { tx in
            try await tx.scan(table).reduce(0) { $0 + $1.count }
        }
        report.add("transactions.lostIncrements", Double(writes - counted), "1", .atMost, 0)
        await cluster.shutdown()
    }

    /// - Parameter wide: every so many-th write takes a second row, in the other region.
    /// - Returns: how many rows were changed.
    private func measure(
        _ name: String, wide: UInt64?, _ cluster: EmbeddedCluster, _ table: Table<Row>
    ) async throws -> Int {
        let even = try await load("evenly", Keys.even(Self.rows), wide, cluster, table)
        let zipf = try await load("by Zipf's law", Keys.zipf(Self.rows, exponent: 0.99), wide, cluster, table)
        let seconds = duration / .seconds(1)
        report.add("\(name).uncontended.rate", Double(even.operations) / seconds, "1/s")
        report.add("\(name).zipf.rate", Double(zipf.operations) / seconds, "1/s")
        let share = Double(zipf.operations) / Double(even.operations)
        if wide == nil {
            report.add("\(name).zipf.share", share, "of uncontended", .atLeast, 0.5)
        } else {
            report.add("\(name).zipf.share", share, "of uncontended")
        }
        report.add(
            "\(name).zipf.attempts.mean", Double(zipf.attempts) / Double(max(1, zipf.writes)), "a write")
        report.add("\(name).zipf.attempts.max", Double(zipf.mostAttempts), "of one write")
        return even.writes + zipf.writes
    }

    private func load(
        _ name: String, _ keys: Keys, _ wide: UInt64?, _ cluster: EmbeddedCluster, _ table: Table<Row>
    ) async throws -> Outcome {
        BenchRun.note("\(Self.clients) clients, keys drawn \(name) …")
        let end = ContinuousClock.now + duration
        return try await withThrowingTaskGroup(of: Outcome.self) { group in
            for client in 0..<Self.clients {
                let position = client % Self.regions.count
                let database = cluster.database(in: Self.regions[position])
                group.addTask {
                    var random = SplitMix64(seed: UInt64(client))
                    var outcome = Outcome()
                    while ContinuousClock.now < end {
                        outcome.operations += 1
                        let id = keys.draw(&random) * 2 + position
                        if random.below(2) == 0 {
                            _ = try await database.read { try await $0.get(id, from: table, in: database.region) }
                            continue
                        }
                        let isWide = wide.map { random.below($0) == 0 } ?? false
                        let other = isWide ? keys.draw(&random) * 2 + 1 - position : nil
                        let home = Self.regions[1 - position]
                        let receipt = try await database.write(deadline: .seconds(60)) { tx in
                            try await Self.increment(id, in: database.region, table, tx)
                            if let other { try await Self.increment(other, in: home, table, tx) }
                        }
                        outcome.writes += other == nil ? 1 : 2
                        outcome.attempts += receipt.attempts * (other == nil ? 1 : 2)
                        outcome.mostAttempts = max(outcome.mostAttempts, receipt.attempts)
                    }
                    return outcome
                }
            }
            var sum = Outcome()
            for try await outcome in group {
                sum.operations += outcome.operations
                sum.attempts += outcome.attempts
                sum.writes += outcome.writes
                sum.mostAttempts = max(sum.mostAttempts, outcome.mostAttempts)
            }
            return sum
        }
    }

    private static func increment(
        _ id: Int, in region: Region, _ table: Table<Row>, _ tx: Transaction
    ) async throws {
        guard var row = try await tx.get(id, from: table, in: region) else {
            throw MeridianError(.rowNotFound, "the bench's row \(id) is gone")
        }
        row.count += 1
        try await tx.update(row, in: table)
    }
}

/// Numbers below a limit, drawn by a law.
struct Keys: Sendable {
    /// The law's distribution function at each number.
    private let cumulated: [Double]

    static func even(_ count: Int) -> Keys { Keys(weights: [Double](repeating: 1, count: count)) }

    static func zipf(_ count: Int, exponent: Double) -> Keys {
        Keys(weights: (1...count).map { 1 / pow(Double($0), exponent) })
    }

    private init(weights: [Double]) {
        var sum = 0.0
        let sums = weights.map { weight -> Double in
            sum += weight
            return sum
        }
        cumulated = sums.map { $0 / sum }
    }

    func draw(_ random: inout SplitMix64) -> Int {
        let point = Double(random.next() >> 11) / Double(UInt64(1) << 53)
        var (low, high) = (0, cumulated.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if cumulated[middle] < point { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
