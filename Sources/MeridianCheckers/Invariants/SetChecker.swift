/// Whether what was added stays: an element whose add was acknowledged is in every read that begins afterwards, no
/// element appears that nobody added, and none vanishes once it was seen. Jepsen's set-full workload.
///
/// - `lost`: acknowledged, and in no read that began after the acknowledgement, though there are such reads.
/// - `unstable`: seen by one read, absent from a later one (it may be back later), or acknowledged and absent from a
///   later read, though others saw it.
/// - `unexpected`: nobody added it, or only an add that failed, or one that began after the read had ended.
/// - `duplicate-elements`: one read saw it twice.
///
/// This is linearizability of each element by itself, as of a register that is set once: its add comes before the reads
/// that saw it and after those that did not, and that contradicts real time only in these ways.
public enum SetChecker {
    private struct Element {
        var add = -1
        var isAcknowledged = false
        /// When it was first known to be in the set: acknowledged, or at the end of a read that saw it.
        var knownSince = Operation.never
        var knownBy = -1
        var lastSeen = -1
        var lastReader = -1
        var missedBy = -1
        var lastMissed = -1
    }

    /// - Throws: `.wrongModel`; `.valueWrittenTwice` if an element is added twice.
    public static func check(_ history: History) throws(CheckerError) -> Verdict {
        try history.require(.set, .causal)
        var ledger = AnomalyLedger(history)
        var elements: [Element] = []
        let numbers = try collectAdds(history, &elements, &ledger)
        judge(history, numbers, &elements, &ledger)
        for element in elements where element.missedBy >= 0 { report(element, history, &ledger) }
        return ledger.verdict(order: [.lostElement, .unstableElement, .unexpectedElement])
    }

    /// Numbers of the elements, by their values.
    static func number(_ history: History) throws(CheckerError) -> (numbers: [Int: Int], adds: [Int]) {
        var numbers: [Int: Int] = [:]
        var adds: [Int] = []
        for operation in history.operations {
            let step = history.steps[operation.firstStep]
            guard step.action == .add else { continue }
            if let other = numbers.updateValue(adds.count, forKey: step.value) {
                throw .valueWrittenTwice(
                    key: .string("set"), value: step.value, first: history.operations[adds[other]].index,
                    second: operation.index)
            }
            adds.append(operation.id)
        }
        return (numbers, adds)
    }

    /// The number of an element that a read saw, if it was added; what else is wrong with it is reported.
    static func added(
        _ value: Int, by read: Operation, _ numbers: [Int: Int], _ adds: [Int], _ history: History,
        _ ledger: inout AnomalyLedger
    ) -> Int? {
        guard let number = numbers[value] else {
            ledger.report(.unexpectedElement, [read.id], ["T1 read \(value), which nobody added"])
            return nil
        }
        let add = history.operations[adds[number]]
        if add.outcome == .fail {
            ledger.report(
                .unexpectedElement, [read.id, add.id], ["T1 read \(value), which T2 added and which failed"])
        }
        if add.start > read.end {
            ledger.report(
                .unexpectedElement, [read.id, add.id], ["T1 read \(value) and had ended before T2 began to add it"])
        }
        return number
    }

    static func reportTwice(_ value: Int, _ read: Operation, _ ledger: inout AnomalyLedger) {
        ledger.report(.duplicateElements, [read.id], ["T1 read \(value) twice; a set holds an element once"])
    }

    private static func collectAdds(
        _ history: History, _ elements: inout [Element], _ ledger: inout AnomalyLedger
    ) throws(CheckerError) -> [Int: Int] {
        let (numbers, adds) = try number(history)
        for id in adds {
            let operation = history.operations[id]
            var element = Element(add: id)
            if operation.outcome == .ok {
                element.isAcknowledged = true
                element.knownSince = operation.end
                element.knownBy = id
            }
            elements.append(element)
        }
        for operation in history.operations where operation.outcome == .ok {
            let step = history.steps[operation.firstStep]
            guard step.action == .elements else { continue }
            for value in history.elements[step.list] {
                guard let number = added(value, by: operation, numbers, adds, history, &ledger) else { continue }
                if elements[number].lastReader == operation.id { reportTwice(value, operation, &ledger) }
                elements[number].lastReader = operation.id
                elements[number].lastSeen = max(elements[number].lastSeen, operation.start)
                if operation.end < elements[number].knownSince {
                    elements[number].knownSince = operation.end
                    elements[number].knownBy = operation.id
                }
            }
        }
        return numbers
    }

    /// Every read against every element that was known before it began.
    private static func judge(
        _ history: History, _ numbers: [Int: Int], _ elements: inout [Element], _ ledger: inout AnomalyLedger
    ) {
        let byTime = elements.indices.sorted { elements[$0].knownSince < elements[$1].knownSince }
        var isPresent = [Int](repeating: -1, count: elements.count)
        for operation in history.operations where operation.outcome == .ok {
            let step = history.steps[operation.firstStep]
            guard step.action == .elements else { continue }
            for value in history.elements[step.list] {
                if let number = numbers[value] { isPresent[number] = operation.id }
            }
            for number in byTime {
                guard elements[number].knownSince < operation.start else { break }
                guard isPresent[number] != operation.id else { continue }
                if elements[number].missedBy < 0 { elements[number].missedBy = operation.id }
                elements[number].lastMissed = operation.start
            }
        }
    }

    private static func report(_ element: Element, _ history: History, _ ledger: inout AnomalyLedger) {
        let value = history.steps[history.operations[element.add].firstStep].value
        let isLost =
            element.isAcknowledged && element.lastSeen < history.operations[element.add].end
        let known = element.knownBy == element.add ? "was acknowledged" : "was seen by T3"
        ledger.report(
            isLost ? .lostElement : .unstableElement,
            [element.add, element.missedBy] + (element.knownBy == element.add ? [] : [element.knownBy]),
            [
                "\(value), which T1 added, \(known) before T2 began, but T2 did not see it",
                element.lastSeen > element.lastMissed
                    ? "a later read saw it again" : "no read that began later saw it",
            ])
    }
}
