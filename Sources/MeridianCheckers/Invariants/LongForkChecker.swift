/// Whether two readers agree on the order of two writes. If R1 sees the write of x and not that of y, and R2 that of y
/// and not that of x, the state went two ways: allowed by parallel snapshot isolation (Sovran et al., SOSP 2011), and
/// forbidden by snapshot isolation and all that is stronger. Jepsen's long-fork workload.
///
/// Each key is written at most once, in a transaction of its own, so a read sees a key either empty or written. Readers
/// of the same keys agree if, of the sets of keys that they saw written, one contains the other. Where those do,
/// the whole is judged as registers whose transactions are serializable: readers of different keys, and transactions
/// that do more than the workload's.
public enum LongForkChecker {
    private struct Look: Hashable {
        /// Sorted.
        var keys: [Int32]
        var written: [Int32]
    }

    /// - Parameter history: of the model `long-fork`.
    /// - Throws: `.wrongModel`; `.valueWrittenTwice` if a key is written twice.
    public static func check(_ history: History) throws(CheckerError) -> Verdict {
        try history.require(.longFork)
        var ledger = AnomalyLedger(history)
        try requireSingleWrites(history)
        // The looks of each set of keys, each once, with the first who looked so.
        var groups: [[Int32]: Int] = [:]
        var looks: [[(look: Look, reader: Int)]] = []
        var isKnown: Set<Look> = []
        for operation in history.operations where operation.outcome == .ok {
            let reads = operation.steps.map { history.steps[$0] }.filter { $0.action == .read }
            guard reads.count > 1 else { continue }
            let keys = reads.map(\.key).sorted()
            let look = Look(keys: keys, written: reads.filter { !$0.isNull }.map(\.key).sorted())
            guard isKnown.insert(look).inserted else { continue }
            let number = groups[keys] ?? looks.count
            if number == looks.count {
                groups[keys] = number
                looks.append([])
            }
            looks[number].append((look, operation.id))
        }
        for group in looks {
            for (place, one) in group.enumerated() {
                for other in group[(place + 1)...] { compare(one, other, history, &ledger) }
            }
        }
        return ledger.isEmpty ? try SerializabilityChecker.registers(history, .serializable) : ledger.verdict()
    }

    private static func requireSingleWrites(_ history: History) throws(CheckerError) {
        var writer: [Int32: Int] = [:]
        for operation in history.operations {
            for place in operation.steps where history.steps[place].action == .write {
                let step = history.steps[place]
                if let first = writer.updateValue(operation.index, forKey: step.key) {
                    throw .valueWrittenTwice(
                        key: history.key(step.key), value: step.value, first: first, second: operation.index)
                }
            }
        }
    }

    private static func compare(
        _ one: (look: Look, reader: Int), _ other: (look: Look, reader: Int), _ history: History,
        _ ledger: inout AnomalyLedger
    ) {
        guard let mine = one.look.written.first(where: { !other.look.written.contains($0) }),
            let theirs = other.look.written.first(where: { !one.look.written.contains($0) })
        else { return }
        ledger.report(
            .longFork, [one.reader, other.reader],
            [
                "T1 saw the write of \(history.key(mine)) and not that of \(history.key(theirs))",
                "T2 saw the write of \(history.key(theirs)) and not that of \(history.key(mine))",
            ])
    }
}
