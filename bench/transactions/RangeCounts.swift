import BenchSupport
import Foundation
import Meridian
import MeridianCore

/// How the commit's latency grows with the number of ranges, uncontended, beside Spanner's table (OSDI 2012, table 4:
/// three zones of one region, mean of 17.0 ms with one participant).
///
/// Every range is a table at home in one region that survives the loss of a region, so a commit's floor is the same
/// whatever their number: one quorum round trip.
struct RangeCounts {
    struct Row: Codable, Sendable { var id: Int; var value: Int }

    let report: FigureReport
    let commits: Int

    /// Spanner's means in milliseconds by the number of participants.
    private static let spanner: [(ranges: Int, mean: Double)] = [
        (1, 17.0), (2, 24.5), (5, 31.5), (10, 30.0), (25, 35.5), (50, 42.7),
    ]

    func run() async throws {
        let cluster = try await TransactionsBench.cluster(["us-east-1", "us-west-2", "eu-west-1"])
        let database = cluster.database(in: "us-east-1")
        let tables = (0..<50).map { number in
            Table<Row>("t\(number)", key: \.id, locality: .regional(in: "us-east-1"), survival: .region)
        }
        BenchRun.note("50 tables …")
        for table in tables { try await database.create(table) }
        var single = 0.0
        for (ranges, mean) in Self.spanner {
            BenchRun.note("commits over \(ranges) ranges …")
            let latencies = Latencies()
            let processor = BenchRun.processorSeconds()
            for number in 0..<(commits + 5) {
                let start = ContinuousClock.now
                try await database.write { tx in
                    for table in tables.prefix(ranges) {
                        try await tx.upsert(Row(id: ranges * 1_000_000 + number, value: number), into: table)
                    }
                }
                // Routes are learnt before anything is counted.
                if number >= 5 { latencies.record(ContinuousClock.now - start) }
            }
            let cost = (BenchRun.processorSeconds() - processor) / Double(commits + 5) * 1000
            let median = latencies.percentile(50)
            if ranges == 1 { single = median }
            let name = "transactions.ranges.\(ranges)"
            report.add("\(name).p50", median, "ms")
            report.add("\(name).p99", latencies.percentile(99), "ms")
            report.add("\(name).cpu", cost, "ms/commit, all nodes")
            if ranges > 1 {
                report.add("\(name).p50.ratio", median / single, "x one range", .atMost, ranges <= 10 ? 1.15 : 2)
            }
            report.add("\(name).spanner.ratio", mean / Self.spanner[0].mean, "x one participant")
        }
        await cluster.shutdown()
    }
}
