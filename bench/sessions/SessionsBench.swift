import ArgumentParser
import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement

/// `bench-sessions`: how often each way of reading one's writes misses them, and what it costs.
///
/// Three AWS regions, three nodes each, links of the AWS matrix with 1 % jitter. Users in two of them write a row of
/// their own and read it again at once, a tenth and half a second later; in every fifth round they read on another
/// device, in the other region. The rows' home is the third region, except for users who are homed where they are.
/// At the end a region dies under sessions that read, and comes back.
@main struct SessionsBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-sessions", abstract: "Sessions: stale reads and latency, strategy by strategy.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Seconds of load for each strategy.")
    var seconds = 10

    static let home: Region = "us-east-1"
    static let clientRegions: [Region] = ["eu-west-1", "ap-northeast-1"]

    /// A strategy under measurement, by its name in the figures.
    struct Case: Sendable {
        var name: String
        var strategy: @Sendable (_ near: Region) -> ReadYourWrites
        /// Where the rows of users in a region are at home.
        var rows: @Sendable (_ near: Region) -> Region = { _ in SessionsBench.home }
        /// Whether a device hands its token to the next.
        var handsTokenOn = false
        /// Whether a read on the user's own device may miss a write.
        var mayMiss = false
    }

    static let cases = [
        Case(name: "none", strategy: { _ in .none }, mayMiss: true),
        Case(name: "sticky", strategy: { _ in .sticky }),
        Case(name: "primaryShort", strategy: { _ in .readFromPrimary(for: .milliseconds(50)) }, mayMiss: true),
        Case(name: "primary", strategy: { _ in .readFromPrimary(for: .seconds(10)) }),
        Case(name: "causal", strategy: { _ in .causal }, handsTokenOn: true),
        Case(name: "homeAway", strategy: { _ in .homeRegion(home) }),
        Case(name: "homeNear", strategy: { .homeRegion($0) }, rows: { $0 }),
    ]

    func run() async throws {
        let report = FigureReport()
        let cluster = try await EmbeddedCluster(
            topology: try .aws([Self.home] + Self.clientRegions),
            configuration: ClusterConfiguration(clock: .declared(.microseconds(500)), jitter: 0.01))
        let suite = SessionsSuite(cluster: cluster, report: report, duration: .seconds(seconds))
        for kind in Self.cases {
            BenchRun.note("\(kind.name) …")
            try await suite.run(kind)
        }
        BenchRun.note("a region dies …")
        try await RegionDeath(cluster: cluster, report: report).run()
        await cluster.shutdown()
        try BenchRun.print(report, as: format)
    }
}
