import ArgumentParser
import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianPlacement

/// `bench-latency`: what a commit and a read cost over real distances, beside what physics asks.
///
/// Five AWS regions of three nodes on links of the AWS matrix with 1 % jitter, each node with its own SQLite files,
/// ε = 0.5 ms. Clients stand in the home region of the rows that they write, on distinct keys. The floor of a commit is
/// max(quorum round trip, 2ε): the farthest answer that its commit rule waits for, or the clock's uncertainty.
@main struct LatencyBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-latency", abstract: "Commit and read latency over simulated distances, against the floor.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Seconds of load for each figure.")
    var seconds = 12

    static let regions: [Region] = ["us-east-1", "eu-central-1", "sa-east-1", "ap-south-1", "ap-northeast-1"]
    static let epsilon = Duration.microseconds(500)

    struct Item: Codable, Sendable {
        var id: Int
        var region: String
        var data: String
    }

    static func table(
        _ name: String, _ survival: SurvivalGoal = .zone, _ mode: ReplicationMode = .synchronous
    ) -> Table<Item> {
        Table<Item>(name, key: \.id, locality: .regionalByRow(\.region), survival: survival, mode: mode)
    }

    static func item(_ id: Int, _ region: Region) -> Item {
        Item(id: id, region: region.rawValue, data: String(repeating: "x", count: 100))
    }

    func run() async throws {
        let report = FigureReport()
        let topology = try Topology.aws(Self.regions)
        let cluster = try await EmbeddedCluster(
            topology: topology, configuration: ClusterConfiguration(clock: .declared(Self.epsilon), jitter: 0.01))
        let suite = LatencySuite(cluster: cluster, report: report, duration: .seconds(seconds))
        try await suite.commits("zone", Self.table("zone", .zone))
        try await suite.commits("region", Self.table("region", .region))
        try await suite.commits(
            "semiSynchronous", Self.table("semi", .zone, .semiSynchronous(remoteRegions: 1)), hasTail: false)
        try await suite.commits("asynchronous", Self.table("async", .zone, .asynchronous), hasTail: false)
        suite.reportWaits()
        try await suite.reads(Self.table("zone", .zone))
        try await suite.manyClients(Self.table("region", .region))
        await cluster.shutdown()
        try await EpsilonSweep(report: report).run()
        try BenchRun.print(report, as: format)
    }
}
