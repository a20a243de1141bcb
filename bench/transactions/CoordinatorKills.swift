import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianRuntime

/// A transaction's gateway is killed, with all nodes of its region, at some moment of the commit: how long until every
/// row that it touched can be written again by somebody else, and whether it took effect in all ranges or in none.
struct CoordinatorKills {
    struct Row: Codable, Sendable { var id: Int; var region: String; var value: Int }

    let report: FigureReport
    let count: Int
    private static let regions: [Region] = ["us-east-1", "us-west-2", "eu-west-1"]

    func run() async throws {
        let cluster = try await TransactionsBench.cluster(Self.regions)
        let table = Table<Row>("rows", key: \.id, locality: .regionalByRow(\.region), survival: .region)
        let client = cluster.database(in: "us-east-1")
        let survivor = cluster.database(in: "us-west-2")
        try await client.create(table)
        let nodes = cluster.topology.nodes(in: "us-east-1").map(\.id)
        var slowest = Duration.zero
        var torn = 0
        for round in 0..<count {
            BenchRun.note("coordinator \(round + 1) of \(count) …")
            let id = round + 1
            async let outcome: Void? = try? client.write(deadline: .seconds(2)) { tx in
                try await tx.upsert(Row(id: id, region: "us-west-2", value: 1), into: table)
                try await tx.upsert(Row(id: id, region: "eu-west-1", value: 1), into: table)
            }.voided
            // A commit takes about 140 ms over these distances.
            await Pause.sleep(for: .milliseconds(20 + 240 * round / max(1, count)))
            for node in nodes { await cluster.kill(node) }
            let start = ContinuousClock.now
            let seen = try await survivor.transact(deadline: .seconds(20)) { tx in
                var values: [Int?] = []
                for home in ["us-west-2", "eu-west-1"] as [Region] {
                    values.append(try await tx.get(id, from: table, in: home)?.value)
                    try await tx.upsert(Row(id: id, region: home.rawValue, value: 2), into: table)
                }
                return values
            }
            slowest = max(slowest, ContinuousClock.now - start)
            if seen.result[0] != seen.result[1] { torn += 1 }
            _ = await outcome
            for node in nodes { try await cluster.start(node) }
            // The region must be able to vote again before it is killed again.
            try await client.write(deadline: .seconds(30)) { tx in
                try await tx.upsert(Row(id: 1_000 + id, region: "us-east-1", value: 0), into: table)
            }
        }
        report.add("transactions.coordinatorKilled.resolved.max", slowest.milliseconds / 1000, "s", .atMost, 3)
        report.add("transactions.coordinatorKilled.torn", Double(torn), "1", .atMost, 0)
        await cluster.shutdown()
    }
}

extension Receipt {
    fileprivate var voided: Void { () }
}
