/// The dependencies of list-append transactions.
///
/// A list tells its own history: a read of [1 2 3] says that 1, 2 and 3 were installed in this order, and by whom,
/// since each value is appended once. The longest list read of a key is its version order, and every other read must be
/// a prefix of it. What committed but is in no list comes after the longest (Elle, VLDB 2020, sections 4 and 5).
///
/// An unknown transaction committed if somebody read anything that it appended, and then with all that it appended;
/// else it is left out.
///
/// Nothing is guessed, and nothing is left open: if no anomaly is found here and the graph has no cycle, then each
/// order of the graph explains all that was read. So the checker is not only sound but complete.
struct AppendAnalysis {
    let history: History
    let table: WriteTable
    var ledger: AnomalyLedger
    var graph: DependencyGraph
    /// By operation.
    var isCommitted: [Bool]

    /// Longest list read of each key, as a range of `history.elements`, and who read it.
    var longest: [Range<Int>]
    var longestReader: [Int]
    /// Keys whose reads disagree have no certain order.
    var isDisputed: [Bool]
    /// Whether an entry of the table is in its key's longest list.
    var isObserved: [Bool]
    /// Entry of each element of the longest lists, negative for none, from `firstOfKey` on.
    var entryOfElement: [Int32] = []
    var firstOfKey: [Int] = []

    /// A transaction's first view of a key: how many elements others had installed.
    struct View {
        let operation: Int32
        let key: Int32
        let count: Int32
        /// Whether the transaction appends to the key afterwards.
        let isUpdate: Bool
    }
    var views: [View] = []

    /// - Throws: `.wrongModel`, `.valueWrittenTwice`.
    init(_ history: History) throws(CheckerError) {
        try history.require(.append)
        self.history = history
        table = try WriteTable(history)
        ledger = AnomalyLedger(history)
        graph = DependencyGraph(operationCount: history.operations.count)
        isCommitted = history.operations.map { $0.outcome == .ok }
        longest = [Range<Int>](repeating: 0..<0, count: history.keys.count)
        longestReader = [Int](repeating: -1, count: history.keys.count)
        isDisputed = [Bool](repeating: false, count: history.keys.count)
        isObserved = [Bool](repeating: false, count: table.entries.count)
    }

    mutating func analyse() {
        findLongest()
        resolveElements()
        inspectReads()
        inspectVersionOrders()
        addVersionEdges()
        addReadEdges()
        addUnobserved()
    }

    private mutating func findLongest() {
        for operation in history.operations where operation.outcome == .ok {
            for place in operation.steps {
                let step = history.steps[place]
                guard step.action == .readList, Int(step.count) > longest[Int(step.key)].count else { continue }
                longest[Int(step.key)] = step.list
                longestReader[Int(step.key)] = operation.id
            }
        }
    }

    /// Who appended each element, and which unknown transactions thereby committed.
    private mutating func resolveElements() {
        firstOfKey.reserveCapacity(history.keys.count + 1)
        for key in history.keys.indices {
            firstOfKey.append(entryOfElement.count)
            for element in history.elements[longest[key]] {
                guard let entry = table.find(Int32(key), element) else {
                    entryOfElement.append(-1)
                    ledger.report(
                        .garbageRead, [longestReader[key]],
                        ["T1 read \(element) in \(history.keys[key]), which nobody appended"])
                    continue
                }
                entryOfElement.append(Int32(entry))
                let writer = Int(table.entries[entry].operation)
                if isObserved[entry] {
                    ledger.report(
                        .duplicateElements, [longestReader[key], writer],
                        ["T1 read \(element) twice in \(history.keys[key]); T2 appended it once"])
                }
                isObserved[entry] = true
                if history.operations[writer].outcome == .info { isCommitted[writer] = true }
            }
        }
        firstOfKey.append(entryOfElement.count)
    }

    /// Elements of a key's longest list: entries, negative where nobody appended the element.
    func versions(_ key: Int) -> ArraySlice<Int32> { entryOfElement[firstOfKey[key]..<firstOfKey[key + 1]] }

    private mutating func inspectReads() {
        for operation in history.operations where operation.outcome == .ok {
            for place in operation.steps where history.steps[place].action == .readList {
                inspectRead(operation, place)
            }
        }
    }

    private mutating func inspectRead(_ operation: Operation, _ place: Int) {
        let step = history.steps[place]
        let key = Int(step.key)
        let list = history.elements[step.list]
        let order = longest[key]
        if !list.elementsEqual(history.elements[order].prefix(list.count)) {
            isDisputed[key] = true
            ledger.report(
                .incompatibleOrder, [operation.id, longestReader[key]],
                [
                    "T1 read \(history.keys[key]) as \(History.shortened(list)), T2 as "
                        + "\(History.shortened(history.elements[order])): neither is a prefix of the other"
                ])
            inspectDisputed(operation, step)
        }
        // Its own earlier steps on the key decide what it must see.
        var own: [Int] = []
        var earlier: Range<Int>?
        for before in operation.firstStep..<place where history.steps[before].key == step.key {
            let other = history.steps[before]
            if other.action == .append {
                own.append(other.value)
            } else {
                earlier = other.list
                own.removeAll()
            }
        }
        if let earlier {
            let expected = Array(history.elements[earlier]) + own
            if !list.elementsEqual(expected) {
                ledger.report(
                    .internalInconsistency, [operation.id],
                    [
                        "T1 read \(history.keys[key]) as \(History.shortened(list)), but by its own earlier steps it "
                            + "must be \(History.shortened(expected[...]))"
                    ])
            }
            return
        }
        if let ahead = list.first(where: { isOfItself($0, operation, step.key, own) }) {
            ledger.report(
                .internalInconsistency, [operation.id],
                ["T1 read \(ahead) in \(history.keys[key]), which it appended itself only afterwards"])
            return
        }
        guard list.suffix(own.count).elementsEqual(own) else {
            ledger.report(
                .internalInconsistency, [operation.id],
                [
                    "T1 read \(history.keys[key]) as \(History.shortened(list)), which does not end with what it had "
                        + "appended itself, \(History.shortened(own[...]))"
                ])
            return
        }
        let count = list.count - own.count
        inspectLast(operation, step, count)
        guard list.elementsEqual(history.elements[order].prefix(list.count)) else { return }
        let isUpdate = operation.steps.contains {
            $0 > place && history.steps[$0].action == .append && history.steps[$0].key == step.key
        }
        views.append(
            View(operation: Int32(operation.id), key: step.key, count: Int32(count), isUpdate: isUpdate && own.isEmpty))
    }

    /// Whether an element is an operation's own, but not among those that it had appended by then.
    private func isOfItself(_ element: Int, _ operation: Operation, _ key: Int32, _ own: [Int]) -> Bool {
        guard let found = table.find(key, element) else { return false }
        return Int(table.entries[found].operation) == operation.id && !own.contains(element)
    }

    /// G1b: the last element that others appended must be somebody's last to the key.
    private mutating func inspectLast(_ operation: Operation, _ step: Step, _ count: Int) {
        guard count > 0 else { return }
        let last = history.elements[step.other + count - 1]
        guard let found = table.find(step.key, last) else { return }
        let entry = table.entries[found]
        guard !entry.isFinal, Int(entry.operation) != operation.id else { return }
        ledger.report(
            .g1b, [operation.id, Int(entry.operation)],
            [
                "T1 read \(history.key(step.key)) up to \(last), which is not the last that T2 appended there: it saw "
                    + "the middle of T2"
            ])
    }

    /// A list that is no prefix is not looked at again, so what is in it is judged here.
    private mutating func inspectDisputed(_ operation: Operation, _ step: Step) {
        var seen: [Int: Bool] = [:]
        for element in history.elements[step.list] {
            if seen.updateValue(true, forKey: element) != nil {
                ledger.report(
                    .duplicateElements, [operation.id], ["T1 read \(element) twice in \(history.key(step.key))"])
                continue
            }
            guard let found = table.find(step.key, element) else {
                ledger.report(
                    .garbageRead, [operation.id],
                    ["T1 read \(element) in \(history.key(step.key)), which nobody appended"])
                continue
            }
            let writer = Int(table.entries[found].operation)
            switch history.operations[writer].outcome {
            case .fail: if !isObserved[found] { reportAborted(operation.id, writer, step.key, element) }
            case .info: isCommitted[writer] = true
            case .ok: break
            }
            isObserved[found] = true
        }
    }

    private mutating func reportAborted(_ reader: Int, _ writer: Int, _ key: Int32, _ element: Int) {
        ledger.report(
            .g1a, [reader, writer], ["T1 read \(element) in \(history.key(key)), which T2 appended and which failed"])
    }

    /// G1a and dirty updates: what failed must not be in a version order, still less be built upon.
    private mutating func inspectVersionOrders() {
        var isPast = [Bool](repeating: false, count: table.entries.count)
        for key in history.keys.indices {
            var aborted = -1
            for number in versions(key) where number >= 0 {
                let entry = table.entries[Int(number)]
                let writer = Int(entry.operation)
                isPast[Int(number)] = true
                if entry.previous >= 0, !isPast[Int(entry.previous)] {
                    ledger.report(
                        .incompatibleOrder, [longestReader[key], writer],
                        [
                            "T1 read \(entry.value) in \(history.keys[key]), but not before it "
                                + "\(table.entries[Int(entry.previous)].value), which T2 had appended first"
                        ])
                }
                if history.operations[writer].outcome == .fail {
                    reportAborted(longestReader[key], writer, Int32(key), entry.value)
                    aborted = Int(number)
                } else if aborted >= 0 {
                    let first = table.entries[aborted]
                    ledger.report(
                        .dirtyUpdate, [Int(first.operation), writer],
                        [
                            "T2 appended \(entry.value) to \(history.keys[key]) after \(first.value), which T1 had "
                                + "appended and which failed"
                        ])
                    aborted = -1
                }
            }
        }
    }
}
