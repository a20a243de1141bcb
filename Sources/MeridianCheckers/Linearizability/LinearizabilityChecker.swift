/// Whether each register is linearizable: as if each operation had happened at one moment between its invocation and
/// its completion (Herlihy and Wing, TOPLAS 1990).
///
/// The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the memory of Lowe
/// ("Testing for linearizability", 2017): build the order operation by operation, never visit the same set of done
/// operations with the same state twice. Linearizability is local (Herlihy and Wing, theorem 1), so each key is
/// searched by itself; that is what makes long histories feasible, since the search is exponential in what is
/// concurrent.
///
/// What keeps it small:
/// - A read that fits the current value is taken at once. It changes nothing, so taking it later has no advantage.
/// - A failed operation did not happen, and a read of unknown outcome says nothing. Both are left out.
/// - An unknown write or compare-and-set stays open for ever. It is not part of the set of done operations: it is an
///   option, used at most once, and only to make a value that some operation needs next. Unknown operations that do the
///   same are one option with a count, the earliest first. Of two configurations that differ only in options used, the
///   one that used fewer does all that the other can.
public enum LinearizabilityChecker {
    /// - Parameters:
    ///   - history: of the model `register`.
    ///   - configurationLimit: of each key. Each takes about 100 bytes.
    /// - Throws: `.wrongModel`; `.searchExhausted` if a key needs more configurations.
    public static func check(
        _ history: History, configurationLimit: Int = 10_000_000
    ) throws(CheckerError) -> Verdict {
        try history.require(.register)
        var ledger = AnomalyLedger(history)
        var ofKey = [[Int]](repeating: [], count: history.keys.count)
        for operation in history.operations { ofKey[Int(history.steps[operation.firstStep].key)].append(operation.id) }
        for (key, operations) in ofKey.enumerated() {
            var search = RegisterSearch(history, operations, limit: configurationLimit)
            switch search.run() {
            case .linearizable: break
            case .exhausted:
                throw .searchExhausted(key: history.keys[key], configurations: configurationLimit)
            case .stuck(let stuck): report(stuck, history.keys[key], history, &ledger)
            }
        }
        return ledger.verdict()
    }

    private static func report(
        _ stuck: RegisterSearch.Stuck, _ key: HistoryKey, _ history: History, _ ledger: inout AnomalyLedger
    ) {
        let last = history.operations[stuck.deadline]
        var lines = [
            "the shortest prefix of key \(key) that is not linearizable ends with the completion of T1, index "
                + "\(last.completionIndex ?? last.index)",
            "of all orders of what had ended before, the longest leave \(key) holding "
                + stuck.states.map(History.text).joined(separator: " or "),
            "from there none of the operations that were open can make T1 true: "
                + history.summary(last),
        ]
        if let writer = stuck.writer {
            let place = stuck.operations.firstIndex(of: writer).map { "T\($0 + 1)" } ?? "T1"
            let operation = history.operations[writer]
            if last.start > operation.end {
                lines.append(
                    "\(place), which wrote what T1 read, had ended before T1 began, and its value was replaced")
            } else if operation.start > last.end {
                lines.append("\(place), which wrote what T1 read, began only after T1 had ended")
            }
        } else if history.steps[last.firstStep].action == .read, !history.steps[last.firstStep].isNull {
            lines.append("no operation that can have happened wrote \(history.steps[last.firstStep].value)")
        }
        ledger.report(.nonLinearizable, stuck.operations, lines)
    }
}
