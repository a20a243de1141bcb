import MeridianCore
import MeridianSimulation

/// The sum of many runs.
struct SimulateTotals {
    private(set) var runs = 0
    private var virtual = Duration.zero
    private var steps: UInt64 = 0
    private var operations = 0
    private var unknown = 0
    private var faults = 0
    private var worstRecovery = Duration.zero

    mutating func add(_ report: SimulationReport) {
        runs += 1
        virtual += report.virtualTime
        steps += report.stepCount
        operations += report.okCount + report.failCount + report.infoCount
        unknown += report.infoCount
        faults += report.begun.count
        worstRecovery = max(worstRecovery, report.recovery ?? .zero)
    }

    func summary(_ elapsed: Duration) -> String {
        let ratio = elapsed > .zero ? virtual / elapsed : 0
        return "\(runs) seeds, \(fixed(virtual / .seconds(3600), 2)) virtual hours (\(Int(ratio)) x real time), "
            + "\(operations) operations (\(unknown) unknown), \(faults) faults, \(steps) steps, "
            + "slowest recovery \(fixed(worstRecovery / .seconds(1), 2)) s"
    }
}

extension SimulationReport {
    func summary(_ workload: String, _ elapsed: Duration) -> String {
        "seed \(seed) \(workload): \(violation == nil ? "ok" : "FAILED"), event hash \(eventHash), "
            + "\(fixed(virtualTime / .seconds(1), 1)) s virtual (\(Int(virtualTime / elapsed)) x real time), "
            + "\(okCount) ok, \(failCount) failed, \(infoCount) unknown, \(begun.count) faults, \(stepCount) steps, "
            + "recovery \(recovery.map { fixed($0 / .seconds(1), 2) + " s" } ?? "none")"
    }
}

extension FaultPlan.Weather {
    var words: String {
        "loss \(fixed(loss, 3)), duplication \(fixed(duplication, 3)), reordering \(fixed(reordering, 3)), "
            + "corruption \(fixed(corruption, 3)), jitter \(fixed(jitter, 2)), "
            + "bandwidth \(bandwidth.map { "\($0) B/s" } ?? "unlimited"), disk \(diskNanoseconds / 1000) µs, "
            + "clocks \(clocksDrift ? "drift" : "are perfect")"
    }
}

extension FaultPlan.Episode {
    var words: String {
        let target =
            switch self.target {
            case .node(let position): "node \(position + 1)"
            case .leader: "a leader"
            }
        return "\(number): \(kind.rawValue) at \(target), from \(fixed(start / .seconds(1), 3)) s for "
            + "\(fixed(length / .seconds(1), 3)) s"
    }
}

/// A number with so many digits after the point.
private func fixed(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let rounded = Int64((value * scale).rounded())
    let whole = rounded / Int64(scale)
    let rest = String(abs(rounded % Int64(scale)))
    return digits == 0 ? "\(whole)" : "\(whole)." + String(repeating: "0", count: digits - rest.count) + rest
}
