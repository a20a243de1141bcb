/// Whether what may only grow does so: there is an order of all operations on a key, within real time, in which no read
/// sees less than what was seen or written before it. For counters, and for timestamps that a store gives out. Jepsen's
/// monotonic workload.
///
/// Three rules are all of it. Within an operation no read goes back. A read sees at least what every operation that had
/// ended before it began saw or wrote. And an operation that raises a value, from what it read to what it saw or wrote
/// last, does so alone: two that both raise it from the same value, or one that another looked into the middle of,
/// each would have to come before the other.
public enum MonotonicChecker {
    /// An operation's dealings with one key.
    private struct Access {
        let operation: Int
        let key: Int32
        /// The least that it read; nil if it only wrote.
        var lowest: Int?
        /// The greatest that it read or wrote.
        var highest: Int
    }

    /// - Parameter history: of the model `monotonic`.
    /// - Throws: `.wrongModel`.
    public static func check(_ history: History) throws(CheckerError) -> Verdict {
        try history.require(.monotonic)
        var ledger = AnomalyLedger(history)
        let accesses = history.operations.map { operation in
            operation.outcome == .ok ? Self.accesses(operation, history, &ledger) : []
        }
        inspectRealTime(accesses, history, &ledger)
        inspectRaises(accesses, history, &ledger)
        return ledger.verdict()
    }

    private static func accesses(
        _ operation: Operation, _ history: History, _ ledger: inout AnomalyLedger
    ) -> [Access] {
        var result: [Access] = []
        for place in operation.steps {
            let step = history.steps[place]
            let isRead = step.action == .read
            let value = step.observed
            guard let known = result.firstIndex(where: { $0.key == step.key }) else {
                result.append(
                    Access(operation: operation.id, key: step.key, lowest: isRead ? value : nil, highest: value))
                continue
            }
            if isRead {
                if value < result[known].highest {
                    ledger.report(
                        .internalInconsistency, [operation.id],
                        [
                            "T1 read \(history.key(step.key)) as \(History.text(value)), but had itself seen or "
                                + "written \(result[known].highest) before"
                        ])
                }
                result[known].lowest = min(result[known].lowest ?? value, value)
            }
            result[known].highest = max(result[known].highest, value)
        }
        return result
    }

    private static func inspectRealTime(_ accesses: [[Access]], _ history: History, _ ledger: inout AnomalyLedger) {
        // The greatest value of each key among what has ended, and who saw it.
        var greatest = [(value: Int, operation: Int)](repeating: (Step.nothing, -1), count: history.keys.count)
        let ends = history.operations.filter { $0.outcome == .ok }.sorted { $0.end < $1.end }
        var ended = 0
        for operation in history.operations {
            while ended < ends.count, ends[ended].end < operation.start {
                for access in accesses[ends[ended].id] where access.highest > greatest[Int(access.key)].value {
                    greatest[Int(access.key)] = (access.highest, ends[ended].id)
                }
                ended += 1
            }
            for access in accesses[operation.id] {
                let before = greatest[Int(access.key)]
                guard let lowest = access.lowest, lowest < before.value else { continue }
                ledger.report(
                    .nonMonotonic, [before.operation, operation.id],
                    [
                        "T1 saw or wrote \(history.key(access.key)) at \(before.value) and had ended before T2 began; "
                            + "T2 read \(History.text(lowest))"
                    ])
            }
        }
    }

    private static func inspectRaises(_ accesses: [[Access]], _ history: History, _ ledger: inout AnomalyLedger) {
        // Of each key, those that read, by what they read; of equal ones those first that raise nothing.
        let readers = accesses.joined().filter { $0.lowest != nil }.sorted {
            ($0.key, $0.lowest ?? 0, $0.highest, $0.operation) < ($1.key, $1.lowest ?? 0, $1.highest, $1.operation)
        }
        var raise: Access?
        for access in readers {
            guard let lowest = access.lowest else { continue }
            if let before = raise, before.key == access.key, let from = before.lowest, lowest < before.highest,
                lowest > from || access.highest > lowest
            {
                ledger.report(
                    .nonMonotonic, [before.operation, access.operation],
                    [
                        "T1 raised \(history.key(access.key)) from \(History.text(from)) to \(before.highest); T2 read "
                            + "\(History.text(lowest)) and so saw the middle of it, or raised it from the same value"
                    ])
            }
            if access.highest > lowest, raise.map({ $0.key != access.key || $0.highest < access.highest }) ?? true {
                raise = access
            }
        }
    }
}
