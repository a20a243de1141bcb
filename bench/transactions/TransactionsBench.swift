import ArgumentParser
import BenchSupport
import Foundation
import Meridian
import MeridianCore

/// `bench-transactions`: what it costs to commit over several ranges, under contention, and when coordinators die.
///
/// Regions of three nodes on links of the AWS matrix, each node with its own SQLite files, ε = 0.5 ms.
@main struct TransactionsBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-transactions", abstract: "Transactions over several ranges and regions.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Commits for each number of ranges.")
    var commits = 60

    @Option(help: "Seconds of load for each contended figure.")
    var seconds = 8

    @Option(help: "Coordinators to kill.")
    var kills = 10

    static let epsilon = Duration.microseconds(500)

    static func cluster(_ regions: [Region]) async throws -> EmbeddedCluster {
        try await EmbeddedCluster(
            topology: .aws(regions), configuration: ClusterConfiguration(clock: .declared(epsilon), jitter: 0.01))
    }

    func run() async throws {
        let report = FigureReport()
        try await RangeCounts(report: report, commits: commits).run()
        try await Distances(report: report, commits: commits).run()
        try await Contention(report: report, duration: .seconds(seconds)).run()
        try await CoordinatorKills(report: report, count: kills).run()
        try BenchRun.print(report, as: format)
    }
}
