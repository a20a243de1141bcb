import ArgumentParser
import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement

/// `bench-reads`: what reads cost that stay near the client, how old what they show is, and what global tables cost
/// their writers.
///
/// Two topologies: five AWS regions around the world and three in North America, three nodes a region, links of the AWS
/// matrix with 1 % jitter, ε = 0.5 ms, each node with its own SQLite files. Stale reads go to followers in the clients'
/// regions.
@main struct ReadsBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-reads", abstract: "Local reads: latency, age, and the price of fresh ones everywhere.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Seconds of load for each figure.")
    var seconds = 10

    static let worldwide: [Region] = ["us-east-1", "eu-central-1", "sa-east-1", "ap-south-1", "ap-northeast-1"]
    static let continent: [Region] = ["us-east-1", "us-east-2", "us-west-2"]
    static let epsilon = Duration.microseconds(500)

    func run() async throws {
        let report = FigureReport()
        for (name, regions) in [("worldwide", Self.worldwide), ("continent", Self.continent)] {
            let cluster = try await EmbeddedCluster(
                topology: try .aws(regions),
                configuration: ClusterConfiguration(clock: .declared(Self.epsilon), jitter: 0.01))
            let suite = ReadsSuite(
                name: name, cluster: cluster, regions: regions, report: report, duration: .seconds(seconds))
            try await suite.run(ageLimit: name == "continent" ? 500 : 1000)
            await cluster.shutdown()
        }
        try BenchRun.print(report, as: format)
    }
}
