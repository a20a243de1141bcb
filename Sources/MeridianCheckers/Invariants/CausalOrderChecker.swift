/// Whether effects appear in their order: if T1 had ended before T2 began, whoever sees T2 sees T1 too. A store can be
/// serializable and break this, when T1 and T2 lie in different shards whose clocks disagree: the answer is visible
/// before the question. Known as causal reverse, and tested by CockroachDB's "comments" workload in Jepsen.
///
/// For each read: the latest beginning among the adds that it saw. Every acknowledged add that ended before that
/// beginning must have been seen. And what it saw must have been added: not by an add that failed, or that began only
/// afterwards, and not twice.
public enum CausalOrderChecker {
    /// - Parameter history: of the model `causal`, or `set`.
    /// - Throws: `.wrongModel`; `.valueWrittenTwice` if an element is added twice.
    public static func check(_ history: History) throws(CheckerError) -> Verdict {
        try history.require(.causal, .set)
        var ledger = AnomalyLedger(history)
        let (numbers, adds) = try SetChecker.number(history)
        let acknowledged = adds.indices.filter { history.operations[adds[$0]].outcome == .ok }
            .sorted { history.operations[adds[$0]].end < history.operations[adds[$1]].end }
        var isSeen = [Int](repeating: -1, count: adds.count)
        for operation in history.operations where operation.outcome == .ok {
            let step = history.steps[operation.firstStep]
            guard step.action == .elements else { continue }
            var latest = -1
            for value in history.elements[step.list] {
                guard let number = SetChecker.added(value, by: operation, numbers, adds, history, &ledger) else {
                    continue
                }
                if isSeen[number] == operation.id {
                    SetChecker.reportTwice(value, operation, &ledger)
                }
                isSeen[number] = operation.id
                // Adds are numbered in the order of their beginnings.
                latest = max(latest, number)
            }
            guard latest >= 0 else { continue }
            let later = history.operations[adds[latest]]
            for number in acknowledged {
                let earlier = history.operations[adds[number]]
                guard earlier.precedes(later) else { break }
                guard isSeen[number] != operation.id else { continue }
                ledger.report(
                    .causalReverse, [earlier.id, later.id, operation.id],
                    [
                        "T1 had ended (index \(earlier.completionIndex ?? -1)) before T2 began (index \(later.index))",
                        "T3 saw T2's \(history.steps[later.firstStep].value), but not T1's "
                            + "\(history.steps[earlier.firstStep].value)",
                    ])
                // One witness a read: the others tell the same.
                break
            }
        }
        return ledger.verdict()
    }
}
