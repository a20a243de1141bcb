import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// What 2,000 ranges cost that nobody uses: 2,000 tables of one range on each of three nodes. Idle ranges fall silent
/// after five seconds, and what is left are the signs of life between the nodes.
struct IdleRanges {
    let report: FigureReport
    private static let count = 2_000

    func run() async throws {
        BenchRun.note("making \(Self.count) ranges …")
        let cluster = try await EmbeddedCluster(
            topology: .local(nodes: 3),
            configuration: ClusterConfiguration(clock: .declared(.zero), simulatesLatency: false))
        let database = cluster.database(in: "local")
        let start = ContinuousClock.now
        // One after the other where they take their numbers, many at once where they elect.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<Self.count {
                if number >= 16 { try await group.next() }
                group.addTask {
                    let table = Table<ThroughputBench.Item>(
                        "idle\(number)", key: \.id, locality: .regional(in: "local"))
                    try await database.create(table, deadline: .seconds(120))
                }
            }
            try await group.waitForAll()
        }
        report.add("idleRanges.2000.create", (ContinuousClock.now - start) / .seconds(1), "s")
        BenchRun.note("letting them fall silent …")
        await Pause.sleep(for: .seconds(10))
        let before = BenchRun.processorSeconds()
        let measured = ContinuousClock.now
        await Pause.sleep(for: .seconds(5))
        let processor = BenchRun.processorSeconds() - before
        let seconds = (ContinuousClock.now - measured) / .seconds(1)
        // The process has three nodes; the figure is one node's.
        report.add("idleRanges.2000.cpu", processor / seconds / 3 * 100, "%", .atMost, 2)
        await cluster.shutdown()
    }
}
