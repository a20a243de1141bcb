import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianPlacement

/// Transactions over rows that are at home in several regions, and such that only read in another region, against their
/// floor: the farthest participant's way there and back and its quorum round trip. Nothing can commit sooner.
struct Distances {
    struct Row: Codable, Sendable { var id: Int; var region: String; var value: Int }

    let report: FigureReport
    let commits: Int
    private static let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]

    func run() async throws {
        let cluster = try await TransactionsBench.cluster(Self.regions)
        let table = Table<Row>("rows", key: \.id, locality: .regionalByRow(\.region))
        let database = cluster.database(in: "us-east-1")
        try await database.create(table)
        for count in 2...3 {
            let homes = Array(Self.regions.prefix(count))
            try await measure("transactions.regions.\(count)", homes, cluster) { number in
                try await database.write { tx in
                    for home in homes {
                        let row = Row(id: count * 1_000_000 + number, region: home.rawValue, value: number)
                        try await tx.upsert(row, into: table)
                    }
                }
            }
        }
        // Read in Europe, written at home: no consensus in Europe. The read itself is a round trip before.
        for id in 0..<3 {
            try await database.write { try await $0.upsert(Row(id: id, region: "eu-west-1", value: 0), into: table) }
        }
        let roundTrip = Double(cluster.topology.matrix.roundTripNanoseconds(from: "us-east-1", to: "eu-west-1")) / 1e6
        let latencies = Latencies()
        BenchRun.note("transactions that only read in another region …")
        for number in 0..<commits {
            let receipt = try await database.write { tx in
                let found = try await tx.get(number % 3, from: table, in: "eu-west-1")
                try await tx.upsert(
                    Row(id: 9_000_000 + number, region: "us-east-1", value: found?.value ?? 0), into: table)
            }
            latencies.record(receipt.latency.total)
        }
        report.add("transactions.readsElsewhere.floor", roundTrip + 1, "ms")
        report.add("transactions.readsElsewhere.commit.p50", latencies.percentile(50), "ms", .atMost, roundTrip + 1 + 3)
        await cluster.shutdown()
    }

    private func measure(
        _ name: String, _ homes: [Region], _ cluster: EmbeddedCluster, _ commit: (Int) async throws -> Void
    ) async throws {
        BenchRun.note("commits over \(homes.count) regions …")
        let matrix = cluster.topology.matrix
        let zone = 1.0
        let floor = homes.map { Double(matrix.roundTripNanoseconds(from: "us-east-1", to: $0)) / 1e6 + zone }.max() ?? 0
        let latencies = Latencies()
        for number in 0..<(commits + 5) {
            let start = ContinuousClock.now
            try await commit(number)
            if number >= 5 { latencies.record(ContinuousClock.now - start) }
        }
        report.add("\(name).floor", floor, "ms")
        report.add("\(name).p50", latencies.percentile(50), "ms", .atMost, floor + 3)
        report.add("\(name).p99", latencies.percentile(99), "ms")
    }
}
