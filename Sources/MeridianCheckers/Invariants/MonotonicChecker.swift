/// Whether what may only grow does so: a read sees at least what every operation on the key that had ended before it
/// began saw or wrote. For counters, and for timestamps that a store gives out. Jepsen's monotonic workload.
public enum MonotonicChecker {
    /// - Parameter history: of the model `monotonic`.
    /// - Throws: `.wrongModel`.
    public static func check(_ history: History) throws(CheckerError) -> Verdict {
        try history.require(.monotonic)
        var ledger = AnomalyLedger(history)
        // The greatest value of each key among what has ended, and who saw it.
        var greatest = [(value: Int, operation: Int)](repeating: (Step.nothing, -1), count: history.keys.count)
        let ends = history.operations.filter { $0.outcome == .ok }.sorted { $0.end < $1.end }
        var ended = 0
        for operation in history.operations {
            while ended < ends.count, ends[ended].end < operation.start {
                for place in ends[ended].steps {
                    let step = history.steps[place]
                    if step.observed > greatest[Int(step.key)].value {
                        greatest[Int(step.key)] = (step.observed, ends[ended].id)
                    }
                }
                ended += 1
            }
            guard operation.outcome == .ok else { continue }
            for place in operation.steps where history.steps[place].action == .read {
                let step = history.steps[place]
                let before = greatest[Int(step.key)]
                guard step.observed < before.value else { continue }
                let verb = history.steps[history.operations[before.operation].firstStep].isRead ? "saw" : "wrote"
                ledger.report(
                    .nonMonotonic, [before.operation, operation.id],
                    [
                        "T1 \(verb) \(history.key(step.key)) at \(before.value) and had ended before T2 began; T2 read "
                            + History.text(step.observed)
                    ])
            }
        }
        return ledger.verdict()
    }
}
