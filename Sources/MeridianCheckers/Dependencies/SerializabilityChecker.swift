/// Whether transactions are strictly serializable: as if they had run one after the other, each at some moment between
/// its beginning and its end.
///
/// A history is serializable if the graph of its dependencies has no cycle, and strictly so if it has none with the
/// order of real time added (Adya 1999; Papadimitriou 1979). The dependencies are inferred from what was read and
/// written, as Elle does: Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations"
/// (VLDB 2020). Where inference is not certain there is no edge, so an anomaly that is reported is one, whatever the
/// system did. Near-linear in the history's length.
///
/// Lists show all of their order, so a graph without a cycle is a proof. Registers do not: there an order of all
/// transactions is looked for besides (`OrderSearch`), and it is said if the search had to be given up.
public enum SerializabilityChecker {
    /// What was promised.
    public enum Consistency: String, CaseIterable, Sendable {
        case serializable
        /// And what ended before another began comes before it; processes see their own order.
        case strictSerializable = "strict-serializable"

        var levels: [DependencyGraph.Level] {
            switch self {
            case .serializable: [.data]
            case .strictSerializable: DependencyGraph.Level.allCases
            }
        }
    }

    /// How many operations the search for an order looks at: so many, and so many for each operation.
    static let searchLimit = (base: 4_000_000, perOperation: 64)

    /// - Parameter history: of the model `append` or `registers`.
    /// - Throws: `.wrongModel`; `.valueWrittenTwice`, since then it cannot be told who was read.
    public static func check(
        _ history: History, consistency: Consistency = .strictSerializable
    ) throws(CheckerError) -> Verdict {
        try history.require(.append, .registers)
        if history.model == .append {
            var analysis = try AppendAnalysis(history)
            analysis.analyse()
            var ledger = analysis.ledger
            let graph = sealed(analysis.graph, history, analysis.isCommitted, consistency)
            reportCycles(graph, history, consistency, &ledger)
            return ledger.verdict(order: AnomalyName.cycles)
        }
        return try registers(history, consistency)
    }

    /// - Parameter history: of single values under keys; `long-fork` too.
    static func registers(_ history: History, _ consistency: Consistency) throws(CheckerError) -> Verdict {
        var analysis = try RegisterAnalysis(history)
        analysis.analyse(levels: consistency.levels)
        var ledger = analysis.ledger
        let graph = sealed(analysis.graph, history, analysis.isCommitted, consistency)
        reportCycles(graph, history, consistency, &ledger)
        guard ledger.isEmpty else { return ledger.verdict(order: AnomalyName.cycles) }
        if consistency == .serializable {
            // An order that keeps to real time is soon found, and serves as well.
            var strict = try RegisterAnalysis(history)
            strict.analyse(levels: Consistency.strictSerializable.levels)
            let ordered = sealed(strict.graph, history, strict.isCommitted, .strictSerializable)
            if strict.ledger.isEmpty, case .found = search(ordered, strict, .strictSerializable) {
                return ledger.verdict()
            }
        }
        switch search(graph, analysis, consistency) {
        case .found: break
        case .exhausted: ledger.note("no cycle was found; the search for an order was given up at its limit")
        case .none(let stuck):
            ledger.report(
                .nonSerializable, Array(stuck.prefix(6)),
                [
                    "no order of the transactions explains what they read; every one ends before one of these, each "
                        + "of which either reads what is not there then, or overwrites what others still have to read"
                ])
        }
        return ledger.verdict()
    }

    private static func search(
        _ graph: DependencyGraph, _ analysis: RegisterAnalysis, _ consistency: Consistency
    ) -> OrderSearch<RegisterState>.Outcome {
        let operations = analysis.history.operations
        var search = OrderSearch(
            graph, operations, level: consistency.levels.max() ?? .data, isNode: analysis.isCommitted,
            isRequired: analysis.isCommitted, state: RegisterState(analysis),
            limit: searchLimit.base + searchLimit.perOperation * operations.count)
        return search.run()
    }

    private static func sealed(
        _ dependencies: DependencyGraph, _ history: History, _ isCommitted: [Bool], _ consistency: Consistency
    ) -> DependencyGraph {
        var graph = dependencies
        if consistency == .strictSerializable {
            graph.addSessionAndRealtimeOrder(history.operations, isCommitted: isCommitted)
        }
        graph.seal()
        return graph
    }

    private static func reportCycles(
        _ graph: DependencyGraph, _ history: History, _ consistency: Consistency, _ ledger: inout AnomalyLedger
    ) {
        var search = CycleSearch(graph, history.operations)
        for cycle in search.cycles(levels: consistency.levels) {
            ledger.report(cycle.name, cycle.operations, history.explain(cycle))
        }
        if search.isExhausted {
            ledger.note("the search for shortest cycles was cut off; a cycle can be longer or milder than the worst")
        }
    }
}

extension History {
    /// Why each edge of a cycle holds, and that together they cannot.
    func explain(_ cycle: CycleSearch.Cycle) -> [String] {
        let count = cycle.edges.count
        var lines = cycle.edges.enumerated().map { place, edge in
            let one = "T\(place + 1)"
            let other = "T\((place + 1) % count + 1)"
            return "\(one) < \(other) (\(Self.name(edge))): \(reason(edge, one, other))"
        }
        lines.append("so T1 must come before itself: no order of them explains what they saw")
        return lines
    }

    private static func name(_ edge: DependencyGraph.Edge) -> String {
        let order =
            switch edge.level {
            case .data: ""
            case .process: edge.kind == .process ? "" : ", by the order of a process"
            case .realtime: edge.kind == .realtime ? "" : ", by real time"
            }
        return "\(edge.kind)" + order
    }

    private func reason(_ edge: DependencyGraph.Edge, _ one: String, _ other: String) -> String {
        let isAppend = model == .append
        let key = edge.key >= 0 ? key(edge.key).description : ""
        let value = Self.text(edge.value)
        let next = Self.text(edge.next)
        switch edge.kind {
        case .ww:
            if !isAppend { return "\(one) wrote \(key) = \(value), which comes before \(other)'s \(next)" }
            if edge.next == Step.nothing {
                return "\(one) appended \(value) to \(key), the last that was ever read; \(other)'s append comes later"
            }
            return "\(one) appended \(value) to \(key), and \(other) appended \(next) after it"
        case .wr:
            return isAppend
                ? "\(other) read \(key) with \(one)'s \(value) at its end" : "\(other) read \(key) as \(one)'s \(value)"
        case .rw:
            if edge.value == Step.nothing, edge.next == Step.nothing {
                return "\(one) read \(key) as empty, so without what \(other) put there"
            }
            if edge.next == Step.nothing {
                return "\(one) read \(key) up to \(value), so without what \(other) appended"
            }
            return isAppend
                ? "\(one) read \(key) "
                    + (edge.value == Step.nothing ? "as empty" : "up to \(value)")
                    + ", so without \(other)'s \(next), which follows"
                : "\(one) read \(key) as \(value), which comes before \(other)'s \(next)"
        case .process:
            return "process \(operations[Int(edge.from)].process) ran \(one), then \(other)"
        case .realtime, .relay:
            let end = operations[Int(edge.from)].completionIndex ?? -1
            return "\(one) had ended (index \(end)) when \(other) began (index \(operations[Int(edge.to)].index))"
        }
    }
}
