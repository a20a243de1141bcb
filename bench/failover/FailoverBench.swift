import ArgumentParser
import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianRuntime

/// `bench-failover`: how long writes stand still when a leaseholder dies, and what a planned move costs.
///
/// A kill is what a crash is: the node's threads end, its links are cut and its files stay as they are. The figure is
/// the time from the kill to the next acknowledged write of a client that keeps asking. Afterwards the node starts
/// again from its files, and at the end every acknowledged write is looked for. Then whole home regions are lost, in
/// each mode (`RegionLosses`). Exit code 0 only if all writes are there, or reported where the mode may lose them.
@main struct FailoverBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-failover",
        abstract: "Time to the next write, and what is lost, when a node or a region dies.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "How often the leaseholder is killed; 0 leaves that and the moves out.")
    var kills = 20

    @Option(help: "How often a whole home region is lost in each mode; 0 leaves that out.")
    var rounds = 5

    @Option(
        help: "Only the losses whose names begin so, such as synchronous or asynchronous.partition.")
    var mode = ""

    func run() async throws {
        let report = FigureReport()
        var failures = 0
        if kills > 0 {
            failures += try await killLeaseholders(report)
            failures += try await PlannedMoves(report: report).run()
        }
        if rounds > 0 { failures += try await RegionLosses(rounds: rounds, report: report, prefix: mode).run() }
        try BenchRun.print(report, as: format)
        if failures > 0 { throw ExitCode.failure }
    }

    /// - Returns: how many acknowledged writes were lost.
    private func killLeaseholders(_ report: FigureReport) async throws -> Int {
        var lost = 0
        let wide = try Topology.aws(["us-east-1", "us-east-2", "us-west-2"])
        lost += try await Kills(
            name: "failover.kill", topology: wide, home: "us-east-1", survival: .region, count: kills,
            hasLatency: true, report: report
        ).run { report, latencies in
            report.add("failover.kill.p50", latencies.percentile(50) / 1000, "s")
            report.add("failover.kill.p99", latencies.percentile(99) / 1000, "s", .atMost, 1.5)
        }
        lost += try await Kills(
            name: "failover.kill.local", topology: try .local(nodes: 3), home: "local", survival: .zone, count: kills,
            hasLatency: false, report: report
        ).run { report, latencies in
            report.add("failover.kill.local.p50", latencies.percentile(50) / 1000, "s", .atMost, 0.6)
            report.add("failover.kill.local.p99", latencies.percentile(99) / 1000, "s")
        }
        report.add("failover.acknowledgedWritesLost", Double(lost), "1", .atMost, 0)
        return lost
    }
}

struct FailoverItem: Codable, Sendable {
    var id: Int
    var data: String
}
