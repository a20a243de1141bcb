import ArgumentParser
import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement

/// `bench-planner`: what `meridian plan` predicts, held against clusters that run.
///
/// Each topology is an `EmbeddedCluster` with SQLite files and links as long as its matrix, 1 % jitter. Clients in
/// every region write, read strongly and read at the nearest copy at the same time, one operation of each kind after
/// the other; each p50 stands against its prediction. A prediction holds within 5 % or 2 ms.
///
/// `planner.TOPOLOGY.errorMilliseconds` and `.errorPercent` are those of the topology's worst prediction. Of
/// some topologies staleness is measured beside it; it has no limit.
@main struct PlannerBench: AsyncParsableCommand {
    /// A range falls silent after 5 s without commits; so does the system range after a table is made.
    static let settling = Duration.seconds(6)

    static let configuration = CommandConfiguration(
        commandName: "bench-planner", abstract: "Predictions of meridian plan against measurement.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "Operations of each kind from each region, for each p50: 31 at least.")
    var samples = 31

    @Option(help: "Only the topologies whose names contain this.")
    var only: String?

    @Option(help: "How many of the worst predictions are listed.")
    var worst = 10

    func validate() throws {
        guard samples >= 31 else { throw ValidationError("\(samples) samples are too few for a median; ask for 31") }
    }

    func run() async throws {
        let report = FigureReport()
        var latencies: [PlannerComparison] = []
        var staleness: [PlannerComparison] = []
        let topologies = try PlannerTopology.all().filter { only.map($0.name.contains) ?? true }
        for topology in topologies {
            let start = ContinuousClock.now
            let found = try await measure(topology)
            latencies += found.latencies
            staleness += found.staleness
            guard let worst = found.latencies.max(by: { $0.badness < $1.badness }) else { continue }
            report.add("planner.\(topology.name).errorMilliseconds", worst.errorMilliseconds, "ms")
            report.add("planner.\(topology.name).errorPercent", worst.errorPercent, "%")
            let seconds = (ContinuousClock.now - start).milliseconds / 1000
            BenchRun.note("\(topology.name): \(found.latencies.count) predictions, \(Int(seconds.rounded())) s; worst:")
            BenchRun.note("  " + Self.line(worst))
        }
        report.add("planner.topologies", Double(topologies.count), "", .atLeast, 20)
        report.add("planner.predictions", Double(latencies.count), "")
        report.add("planner.predictionsMissed", Double(latencies.count { !$0.holds }), "")
        report.add("planner.worstError.holds", latencies.allSatisfy(\.holds) ? 1 : 0, "", .atLeast, 1)
        let shares = staleness.map(\.errorPercent).sorted()
        if !shares.isEmpty { report.add("planner.staleness.errorPercent.p50", shares[shares.count / 2], "%") }
        show("The worst predictions (ms):", latencies)
        if !staleness.isEmpty { show("The worst predictions of staleness (ms, no limit):", staleness, hasLimit: false) }
        try BenchRun.print(report, as: format)
    }

    private func measure(
        _ topology: PlannerTopology
    ) async throws -> (latencies: [PlannerComparison], staleness: [PlannerComparison]) {
        var found: (latencies: [PlannerComparison], staleness: [PlannerComparison]) = ([], [])
        let cluster = try await EmbeddedCluster(
            topology: topology.topology,
            configuration: ClusterConfiguration(clock: .declared(topology.epsilon), jitter: 0.01))
        do {
            for run in topology.runs {
                let measurement = PlannerMeasurement(cluster: cluster, run: run, samples: samples)
                let clients = try await measurement.measure(after: topology.showsAge ? Self.settling : .zero)
                let compared = try PlannerComparison.all(topology, run, clients)
                found.latencies += compared.latencies
                if topology.showsAge { found.staleness += compared.staleness }
            }
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
        return found
    }

    private func show(_ title: String, _ comparisons: [PlannerComparison], hasLimit: Bool = true) {
        BenchRun.note(title)
        for comparison in comparisons.sorted(by: { $0.badness > $1.badness }).prefix(worst) {
            BenchRun.note("  " + Self.line(comparison, hasLimit: hasLimit))
        }
    }

    private static func line(_ comparison: PlannerComparison, hasLimit: Bool = true) -> String {
        func number(_ value: Double) -> String {
            let text = String((value * 100).rounded() / 100)
            return String(repeating: " ", count: max(0, 8 - text.count)) + text
        }
        let name = "\(comparison.topology), \(comparison.what)"
        return "predicted \(number(comparison.predicted)), measured \(number(comparison.measured)), error "
            + "\(number(comparison.errorMilliseconds)) =\(number(comparison.errorPercent)) % "
            + "\(comparison.holds || !hasLimit ? "      " : "MISSED")  \(name)"
    }
}
