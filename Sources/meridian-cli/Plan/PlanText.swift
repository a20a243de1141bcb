import BenchSupport
import MeridianCore
import MeridianPlacement

/// A plan's report for people: for each table the modes side by side, then what is advised and why.
struct PlanText {
    private let report: PlanReport
    private(set) var lines: [String] = []

    init(_ report: PlanReport) {
        self.report = report
        show()
    }

    private static let legend = [
        "After a loss commits go on at once or after a time (RTO); in part: for clients on one side; promote: when",
        "a copy is promoted by hand; down: when what was lost comes back. What stands after lose is gone (RPO).",
    ]

    private mutating func line(_ text: String = "") { lines.append(text) }

    private mutating func table(_ table: TextTable) {
        for text in table.lines { line("  " + text) }
        line()
    }

    private mutating func show() {
        let plan = report.plan
        let regions = plan.topology.regions.map { "\($0) (\(plan.topology.nodes(in: $0).count))" }
        line("Regions (nodes): " + regions.joined(separator: ", "))
        line(
            "Distances: \(plan.matrixSource). Clocks: ±\(TimeText.of(plan.epsilonNanoseconds)). p50 in ms "
                + "without load.")
        for text in Self.legend { line(text) }
        for table in report.tables { show(table) }
    }

    private mutating func show(_ table: PlanReport.Table) {
        let title = "Table \(table.table.name)"
        line()
        line(title)
        line(String(repeating: "─", count: title.count))
        line(heading(table.table))
        line()
        let clients = table.table.clientRegions(of: report.plan.topology)
        let possible = table.modes.filter { $0.refusal == nil }
        latencies("Writes from", possible, clients) { TimeText.milliseconds($0.write.p50Nanoseconds) }
        latencies("Strong reads from", possible, clients) {
            $0.strongRead.map { TimeText.milliseconds($0.p50Nanoseconds) } ?? "none"
        }
        latencies("Nearest reads from (how old, ms)", possible, clients) {
            TimeText.milliseconds($0.nearestRead.p50Nanoseconds) + " (\($0.stalenessNanoseconds / 1_000_000))"
        }
        failures(possible)
        costs(possible)
        for mode in table.modes {
            if let refusal = mode.refusal { line("  \(mode.mode) is not possible: \(refusal)") }
        }
        for mode in possible where !mode.missed.isEmpty {
            let reasons = mode.missed.map { "\($0.name) (\($0.reason))" }
            line("  \(mode.mode) misses " + reasons.joined(separator: "; "))
        }
        line()
        advice(table)
    }

    private func heading(_ table: PlannedTable) -> String {
        let locality =
            switch table.locality {
            case .regionalByRow(let column):
                "regional by row (\(column)); each client writes and reads rows of its own home"
            case .regional(let region): "regional, at home in \(region)"
            case .global: "global"
            case .activeActive: "active-active"
            }
        let law = table.placement == .restricted ? ", restricted to the home's jurisdiction" : ""
        let mode = table.mode.map { ", declared \($0)" } ?? ""
        return "\(locality)\(law)\(mode), rows of \(table.rowBytes) bytes"
    }

    private mutating func latencies(
        _ title: String, _ modes: [ModePrediction], _ clients: [Region], _ cell: (ClientPrediction) -> String
    ) {
        var text = TextTable([title] + clients.map(\.rawValue))
        for mode in modes {
            text.add(
                ["\(mode.mode)"] + clients.map { mode.home(for: $0)?.client($0).map(cell) ?? "–" })
        }
        table(text)
    }

    private static func heading(_ kind: PlannedFailure.Kind) -> String {
        switch kind {
        case .zone: "a zone"
        case .home: "home"
        case .other: "another region"
        case .two: "two regions"
        case .partition: "home's links"
        }
    }

    /// The worst case of each kind.
    private mutating func failures(_ modes: [ModePrediction]) {
        let kinds = PlannedFailure.Kind.allCases.filter { kind in modes.contains { $0.worst(kind) != nil } }
        var text = TextTable(["Commits after the loss of"] + kinds.map(Self.heading))
        for mode in modes {
            text.add(["\(mode.mode)"] + kinds.map { mode.worst($0).map(Self.outcome) ?? "–" })
        }
        table(text)
        var reads = TextTable(["Reads, strong and stale, after it"] + kinds.map(Self.heading))
        for mode in modes {
            reads.add(["\(mode.mode)"] + kinds.map { mode.worst($0).map(Self.readers) ?? "–" })
        }
        table(reads)
    }

    /// In how many of the clients' regions that live.
    private static func readers(_ failure: FailurePrediction) -> String {
        let clients = failure.clients.count
        return "\(failure.strongReadable.count)/\(clients), \(failure.staleReadable.count)/\(clients)"
    }

    /// What is left of writes, and what is lost.
    static func outcome(_ failure: FailurePrediction) -> String {
        let isPartial = failure.writable.count < failure.clients.count
        let recovery =
            switch failure.recovery {
            case .unaffected: isPartial ? "in part" : "goes on"
            case .after(let time): TimeText.of(time)
            case .promotion: failure.writable.isEmpty ? "promote" : "in part"
            case .untilItReturns: "down"
            }
        switch failure.loss {
        case .nothing: return recovery
        case .last(let time): return "\(recovery), lose \(TimeText.of(time))"
        case .everything: return "\(recovery), lose all"
        }
    }

    private mutating func costs(_ modes: [ModePrediction]) {
        var text = TextTable([
            "Cost", "voters", "learners", "regions", "bytes kept per byte", "cross-region B/write", "cross-region B/s",
            "pulls/s",
        ])
        for mode in modes {
            let costs = mode.homes.map(\.cost)
            guard let first = costs.first else { continue }
            let perSecond = costs.reduce(0) { $0 + $1.crossRegionBytesPerSecond }
            let perWrite = costs.map(\.crossRegionBytesPerWrite).max() ?? 0
            text.add([
                "\(mode.mode)", "\(first.voters)", "\(first.learners)", "\(first.regions)",
                "\(first.storedBytesPerByte)",
                Decimals.grouped(Int(perWrite.rounded())), Decimals.grouped(Int(perSecond.rounded())),
                Decimals.grouped(Int(costs.reduce(0) { $0 + $1.pullsPerSecond }.rounded())),
            ])
        }
        table(text)
    }

    private mutating func advice(_ table: PlanReport.Table) {
        let found = table.recommendation
        line("Recommended: \(found.mode.map { "\($0)" } ?? "nothing") (\(found.pattern.rawValue))")
        for (number, step) in found.steps.enumerated() {
            line("  \(number + 1). \(step.question) \(step.answer)")
            for input in step.inputs { line("       \(input)") }
        }
        for next in found.advice { line("  Then \(next).") }
        for wish in found.missed { line("  It does not keep \(wish.name): \(wish.reason).") }
        if let mode = table.table.mode, mode != found.mode {
            let missed = table.missed.map { "\($0.name): \($0.reason)" }
            line(
                "  The plan declares \(mode), which "
                    + (missed.isEmpty ? "keeps every wish too." : "misses \(missed.joined(separator: "; "))."))
        }
    }
}
