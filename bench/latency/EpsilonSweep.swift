import BenchSupport
import Meridian
import MeridianCore

/// Where the clock's uncertainty starts to cost: one region, ε from 0 to 50 ms. A commit waits until 2ε have passed
/// since its timestamp was chosen, and the wait overlaps with replication, so it shows only beyond the quorum's round
/// trip (1 ms here).
struct EpsilonSweep {
    let report: FigureReport

    func run() async throws {
        let topology = try Topology.aws(["us-east-1"])
        for milliseconds in [0, 1, 2, 5, 10, 20, 50] {
            BenchRun.note("ε = \(milliseconds) ms …")
            let configuration = ClusterConfiguration(clock: .declared(.milliseconds(milliseconds)), jitter: 0.01)
            let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration)
            let database = cluster.database(in: "us-east-1")
            let table = LatencyBench.table("sweep")
            try await database.create(table)
            let latencies = Latencies()
            try await OpenLoop.run(ratePerSecond: 25, for: .seconds(3), into: latencies) { number in
                try await database.write {
                    try await $0.insert(LatencyBench.item(number, "us-east-1"), into: table)
                }
            }
            let floor = Double(max(1, 2 * milliseconds))
            report.add("commit.epsilon.\(milliseconds).p50", latencies.percentile(50), "ms", .atMost, floor + 2)
            await cluster.shutdown()
        }
    }
}
