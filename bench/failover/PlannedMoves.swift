import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// Moves a lease from node to node under a steady load of writes. None of them may fail.
struct PlannedMoves {
    let report: FigureReport
    private static let moves = 10

    /// - Returns: how many writes failed.
    func run() async throws -> Int {
        BenchRun.note("planned moves …")
        let topology = try Topology.aws(["us-east-1"])
        let cluster = try await EmbeddedCluster(topology: topology)
        let table = Table<FailoverItem>("items", key: \.id, locality: .regional(in: "us-east-1"))
        let database = cluster.database(in: "us-east-1")
        try await database.create(table)
        let failed = Locked(0)
        let latencies = Latencies()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await OpenLoop.run(ratePerSecond: 100, for: .seconds(12), into: latencies) { id in
                    do {
                        try await database.write {
                            try await $0.insert(FailoverItem(id: id, data: "x"), into: table)
                        }
                    } catch {
                        BenchRun.note("a write failed during a move: \(error)")
                        failed.with { $0 += 1 }
                    }
                }
            }
            for move in 0..<Self.moves {
                await Pause.sleep(for: .seconds(1))
                let leader = try await cluster.leaseholder(of: table)
                let others = topology.nodes.map(\.id).filter { $0 != leader }
                try await cluster.transferLease(of: table, to: others[move % others.count])
            }
            try await group.waitForAll()
        }
        let count = failed.with { $0 }
        report.add("failover.planned.failedOperations", Double(count), "1", .atMost, 0)
        report.add("failover.planned.gap", latencies.percentile(100), "ms")
        await cluster.shutdown()
        return count
    }
}
