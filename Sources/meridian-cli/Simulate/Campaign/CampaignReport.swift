import BenchSupport
import Foundation

/// What a campaign ends with, for people and for machines.
struct CampaignReport {
    /// A group of failures, with one of them made smaller.
    struct Finding: Encodable {
        var rule: String
        var workload: String
        var seeds: [UInt64]
        var detail: String
        /// The episodes that the first seed needs to fail, in words.
        var faults: [String]
        /// Repeats it.
        var command: String
    }

    let base: UInt64
    /// Of the search, without what went into making failures smaller.
    let seconds: Double
    let jobs: Int
    let tally: CampaignTally
    let findings: [Finding]

    var figures: FigureReport {
        let report = FigureReport()
        let total = tally.total
        report.add("campaign.seed.base", Double(base), "1")
        report.add("campaign.seeds", Double(total.seeds), "1")
        report.add("campaign.virtual", total.virtualSeconds / 3600, "h")
        report.add("campaign.speed", seconds > 0 ? total.virtualSeconds / seconds : 0, "x real time")
        report.add("campaign.processes", Double(jobs), "1")
        report.add("campaign.operations", Double(total.operations), "1")
        report.add("campaign.operations.unknown", Double(total.unknown), "1")
        report.add("campaign.steps", Double(tally.steps), "1")
        report.add("campaign.recovery.slowest", tally.slowestRecoverySeconds, "s")
        report.add("campaign.failures", Double(total.failures), "1", .atMost, 0)
        for (name, counts) in tally.workloads.sorted(by: { $0.key < $1.key }) {
            report.add("campaign.workload.\(name).seeds", Double(counts.seeds), "1")
            report.add("campaign.workload.\(name).virtual", counts.virtualSeconds / 3600, "h")
            report.add("campaign.workload.\(name).operations", Double(counts.operations), "1")
            report.add("campaign.workload.\(name).failures", Double(counts.failures), "1", .atMost, 0)
        }
        for (name, counts) in tally.faults.sorted(by: { $0.key < $1.key }) {
            report.add("campaign.fault.\(name).episodes", Double(counts.episodes), "1")
            report.add("campaign.fault.\(name).failedRuns", Double(counts.failedRuns), "1")
        }
        return report
    }

    func json() throws -> String { try figures.json(with: findings, named: "failures") }

    /// Lines without newlines; the last is the sum.
    var lines: [String] {
        var lines = ["", Self.row("workload", ["seeds", "hours", "operations", "unknown", "failures"])]
        for (name, counts) in tally.workloads.sorted(by: { $0.key < $1.key }) {
            let hours = String(format: "%.2f", counts.virtualSeconds / 3600)
            lines.append(
                Self.row(
                    name, ["\(counts.seeds)", hours, "\(counts.operations)", "\(counts.unknown)", "\(counts.failures)"]
                ))
        }
        lines += ["", Self.row("fault", ["episodes", "failed runs"])]
        for (name, counts) in tally.faults.sorted(by: { $0.key < $1.key }) {
            lines.append(Self.row(name, ["\(counts.episodes)", "\(counts.failedRuns)"]))
        }
        for finding in findings {
            lines += ["", "\(finding.rule) (\(finding.workload)): \(finding.seeds.count) seeds"]
            lines.append("  seeds \(finding.seeds.prefix(20).map(String.init).joined(separator: ", "))")
            lines.append("  \(finding.detail)")
            lines.append("  faults that it needs, beside the weather:")
            lines += finding.faults.isEmpty ? ["    none"] : finding.faults.map { "    \($0)" }
            lines.append("  to repeat it: \(finding.command)")
        }
        return lines + ["", sum]
    }

    private var sum: String {
        let total = tally.total
        let speed = seconds > 0 ? Int(total.virtualSeconds / seconds) : 0
        return "campaign from seed \(base): \(total.seeds) seeds, "
            + String(format: "%.2f", total.virtualSeconds / 3600)
            + " virtual hours (\(speed) x real time in \(jobs) processes), \(total.operations) operations "
            + "(\(total.unknown) unknown), \(tally.faults.values.reduce(0) { $0 + $1.episodes }) faults, "
            + "slowest recovery "
            + String(format: "%.2f", tally.slowestRecoverySeconds) + " s, "
            + "\(total.failures) failures of \(findings.count) kinds"
    }

    private static func row(_ name: String, _ columns: [String]) -> String {
        func pad(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        return name + String(repeating: " ", count: max(1, 20 - name.count))
            + columns.map { pad($0, 12) }.joined()
    }
}
