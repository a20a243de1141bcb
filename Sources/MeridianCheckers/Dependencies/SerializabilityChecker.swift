/// Whether transactions are strictly serializable: as if they had run one after the other, each at some moment between
/// its beginning and its end.
///
/// A history is serializable if the graph of its dependencies has no cycle, and strictly so if it has none with the
/// order of real time added (Adya 1999; Papadimitriou 1979). The dependencies are inferred from what was read and
/// written, as Elle does: Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations"
/// (VLDB 2020). Where inference is not certain there is no edge, so an anomaly that is reported is one, whatever the
/// system did; an anomaly that left no trace in what was read is not found. Near-linear in the history's length.
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

    /// - Parameter history: of the model `append` or `registers`.
    /// - Throws: `.wrongModel`; `.valueWrittenTwice`, since then it cannot be told who was read.
    public static func check(
        _ history: History, consistency: Consistency = .strictSerializable
    ) throws(CheckerError) -> Verdict {
        try history.require(.append, .registers)
        if history.model == .append {
            var analysis = try AppendAnalysis(history)
            analysis.analyse()
            return judge(history, analysis.graph, analysis.isCommitted, analysis.ledger, consistency)
        }
        var analysis = try RegisterAnalysis(history)
        analysis.analyse(levels: consistency.levels)
        return judge(history, analysis.graph, analysis.isCommitted, analysis.ledger, consistency)
    }

    private static func judge(
        _ history: History, _ dependencies: consuming DependencyGraph, _ isCommitted: [Bool],
        _ collected: consuming AnomalyLedger, _ consistency: Consistency
    ) -> Verdict {
        var graph = dependencies
        var ledger = collected
        if consistency == .strictSerializable {
            graph.addSessionAndRealtimeOrder(history.operations, isCommitted: isCommitted)
        }
        graph.seal()
        var search = CycleSearch(graph, history.operations)
        for cycle in search.cycles(levels: consistency.levels) {
            ledger.report(cycle.name, cycle.operations, history.explain(cycle))
        }
        if search.isExhausted {
            ledger.note("the search for shortest cycles was cut off; a cycle can be longer or milder than the worst")
        }
        return ledger.verdict(order: AnomalyName.cycles)
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
