import MeridianCore
import MeridianPlacement

/// One prediction beside what was measured.
struct PlannerComparison: Sendable {
    var topology: String
    /// Mode, operation and client region.
    var what: String
    /// Milliseconds.
    var predicted: Double
    var measured: Double

    var errorMilliseconds: Double { abs(measured - predicted) }
    var errorPercent: Double { measured > 0 ? errorMilliseconds / measured * 100 : 0 }

    /// How far it is off, as a share of what is allowed: 2 ms or 5 %, whichever is more.
    var badness: Double { min(errorMilliseconds / Self.milliseconds, errorPercent / Self.percent) }
    var holds: Bool { badness <= 1 }

    static let milliseconds = 2.0
    static let percent = 5.0

    /// The predictions for a run's clients, each with its measurement.
    static func all(
        _ topology: PlannerTopology, _ run: PlannerTopology.Run, _ measured: [PlannerMeasurement.Client]
    ) throws -> (latencies: [PlannerComparison], staleness: [PlannerComparison]) {
        let predictor = Predictor(
            topology: topology.topology, epsilonNanoseconds: Int64(topology.epsilon / .nanoseconds(1)))
        let table = PlannedTable(name: "table", locality: .regional(in: run.home), placement: run.placement)
        let prediction = predictor.predict(run.mode, table)
        guard let home = prediction.homes.first else {
            throw MeridianError(.placementImpossible, prediction.refusal ?? "\(run.mode) has no home")
        }
        var latencies: [PlannerComparison] = []
        var staleness: [PlannerComparison] = []
        for client in measured {
            guard let predicted = home.client(client.region) else {
                preconditionFailure("\(client.region) has no prediction")
            }
            func compare(_ what: String, _ nanoseconds: Int64, _ measured: Double) -> PlannerComparison {
                PlannerComparison(
                    topology: topology.name, what: "\(run.mode) \(what) from \(client.region)",
                    predicted: Double(nanoseconds) / 1_000_000, measured: measured)
            }
            latencies.append(compare("write", predicted.write.p50Nanoseconds, client.write))
            if let strong = predicted.strongRead {
                latencies.append(compare("strong read", strong.p50Nanoseconds, client.strongRead))
            }
            // Fresh reads are what a global table is for; older ones are held back by the node's other ranges.
            guard run.mode != .global else { continue }
            latencies.append(compare("nearest read", predicted.nearestRead.p50Nanoseconds, client.nearestRead))
            staleness.append(compare("staleness", predicted.stalenessNanoseconds, client.staleness))
        }
        return (latencies, staleness)
    }
}
