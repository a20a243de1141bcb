import ArgumentParser
import BenchSupport
import Foundation
import Meridian
import MeridianCore

/// `bench-throughput`: how many commits a second one process carries, and what each costs.
///
/// Three nodes in one process without injected delay, every log with `synchronous=FULL` on the disk that the bench
/// stands on, rows of 100-byte values, distinct keys. ε is 0: the nodes of one process share one physical clock, so
/// none is ever ahead of another. Bare SQLite and bare fdatasync on the same disk in the same run stand beside.
@main struct ThroughputBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-throughput", abstract: "Commits a second of three nodes in one process.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Seconds of load for each figure.")
    var seconds = 5

    struct Item: Codable, Sendable {
        var id: Int
        var data: String
    }

    static let items = Table<Item>("items", key: \.id, locality: .regional(in: "local"))

    func run() async throws {
        let report = FigureReport()
        let path = try BenchRun.makeDirectory("throughput")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try BareDisk(directory: path).run(report)
        let cluster = try await EmbeddedCluster(
            topology: .local(nodes: 3),
            configuration: ClusterConfiguration(
                storage: .directory(path + "/cluster"), clock: .declared(.zero), simulatesLatency: false))
        try await cluster.database(in: "local").create(Self.items)
        _ = try await load(cluster, clients: 64, seconds: 1, first: 1 << 50)
        try await measure(cluster, clients: 64, report)
        try await measure(cluster, clients: 1, report)
        await cluster.shutdown()
        try await IdleRanges(report: report).run()
        try BenchRun.print(report, as: format)
    }

    private func measure(_ cluster: EmbeddedCluster, clients: Int, _ report: FigureReport) async throws {
        BenchRun.note("\(clients) clients …")
        let before = (processor: BenchRun.processorSeconds(), fsyncs: cluster.logWriteCount)
        let start = ContinuousClock.now
        let (count, latencies) = try await load(cluster, clients: clients, seconds: seconds, first: clients << 40)
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        let processor = BenchRun.processorSeconds() - before.processor
        let limit = clients == 64 ? 40_000.0 : 3_000.0
        report.add("commits.\(clients)", Double(count) / elapsed, "1/s", .atLeast, limit)
        report.add("commits.\(clients).p50", latencies.percentile(50), "ms")
        report.add("commits.\(clients).p99", latencies.percentile(99), "ms")
        let suffix = clients == 64 ? "" : ".\(clients)"
        report.add("cpu.perCommit\(suffix)", processor / Double(count) * 1e6, "µs")
        report.add(
            "fsyncs.perCommit\(suffix)", Double(cluster.logWriteCount - before.fsyncs) / Double(count), "1")
    }

    /// Closed loop: each client asks as soon as it is answered.
    private func load(
        _ cluster: EmbeddedCluster, clients: Int, seconds: Int, first: Int
    ) async throws -> (count: Int, latencies: Latencies) {
        let database = cluster.database(in: "local")
        let data = String(repeating: "x", count: 100)
        let end = ContinuousClock.now + .seconds(seconds)
        let latencies = Latencies()
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<clients {
                group.addTask {
                    var count = 0
                    var start = ContinuousClock.now
                    while start < end {
                        let row = Item(id: first + client << 24 + count, data: data)
                        try await database.write { try await $0.upsert(row, into: Self.items) }
                        let now = ContinuousClock.now
                        latencies.record(now - start)
                        start = now
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        return (count, latencies)
    }
}
