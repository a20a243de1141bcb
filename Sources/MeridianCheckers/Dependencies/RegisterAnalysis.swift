/// The dependencies of transactions over read-write registers.
///
/// A register forgets, so the order of its versions must be inferred. Only certain knowledge is used:
/// - nothing (the initial state) comes before every value that was written;
/// - what a transaction reads comes before what it then writes to the same key. In any serial order that explains the
///   history it must, so a cycle by it refutes serializability;
/// - if one transaction saw or wrote v, and another of the same process, or one that began after the first had ended,
///   saw or wrote w, then v comes before w. This holds in an order that respects processes, or real time, so such edges
///   have that level, and cycles by them the suffix `-process` or `-realtime`.
/// Each value must be written to a key at most once, else a read does not tell whom it read (Elle, VLDB 2020, section
/// 5.2; its `linearizable-keys?` and `wfr-keys?` options).
struct RegisterAnalysis {
    let history: History
    let table: WriteTable
    var ledger: AnomalyLedger
    var graph: DependencyGraph
    /// By operation. An unknown transaction committed if somebody read what it wrote.
    var isCommitted: [Bool]

    /// A transaction's dealings with one key. Versions are entries of the table, or `nothing(key)`.
    struct Access {
        let operation: Int32
        let key: Int32
        /// What it read before it wrote, if that is a version.
        let read: Int32?
        /// Its last write.
        let written: Int32?

        var first: Int32? { read ?? written }
        var last: Int32? { written ?? read }
    }
    var accesses: [Access] = []

    struct VersionEdge {
        let from: Int32
        let to: Int32
        let level: DependencyGraph.Level
    }
    var versionEdges: [VersionEdge] = []

    /// - Throws: `.wrongModel`, `.valueWrittenTwice`.
    init(_ history: History) throws(CheckerError) {
        try history.require(.registers, .longFork)
        self.history = history
        table = try WriteTable(history)
        ledger = AnomalyLedger(history)
        graph = DependencyGraph(operationCount: history.operations.count)
        isCommitted = history.operations.map { $0.outcome == .ok }
    }

    var versionCount: Int { table.entries.count + history.keys.count }
    func nothing(_ key: Int32) -> Int32 { Int32(table.entries.count) + key }
    func isNothing(_ version: Int32) -> Bool { Int(version) >= table.entries.count }

    func value(_ version: Int32) -> Int {
        isNothing(version) ? Step.nothing : table.entries[Int(version)].value
    }

    func key(ofVersion version: Int32) -> Int32 {
        isNothing(version) ? version - Int32(table.entries.count) : table.entries[Int(version)].key
    }

    mutating func analyse(levels: [DependencyGraph.Level]) {
        for operation in history.operations where operation.outcome == .ok { inspect(operation) }
        addAccessesOfUnknown()
        inferVersionOrder(levels: levels)
        addReadEdges()
        addVersionEdges()
    }

    /// Judges the reads of a transaction, and notes what it read and wrote.
    private mutating func inspect(_ operation: Operation) {
        let steps = operation.steps
        for place in steps {
            let step = history.steps[place]
            let before = steps.prefix(upTo: place).last { history.steps[$0].key == step.key }
            if step.action == .read {
                if let before {
                    inspectInternal(operation, step, history.steps[before])
                } else {
                    inspectExternal(operation, step)
                }
            }
            // Its first step on a key stands for all.
            guard before == nil else { continue }
            let write = steps.last { history.steps[$0].key == step.key && history.steps[$0].action == .write }
            let access = Access(
                operation: Int32(operation.id), key: step.key,
                read: step.action == .read ? version(step) : nil,
                written: write.flatMap { table.find(step.key, history.steps[$0].value) }.map(Int32.init))
            if access.first != nil { accesses.append(access) }
        }
    }

    /// What a read saw, if that was installed: not what failed, not what nobody wrote.
    private func version(_ step: Step) -> Int32? {
        if step.isNull { return nothing(step.key) }
        guard let found = table.find(step.key, step.value) else { return nil }
        let writer = Int(table.entries[found].operation)
        return history.operations[writer].outcome == .fail ? nil : Int32(found)
    }

    private mutating func inspectInternal(_ operation: Operation, _ step: Step, _ before: Step) {
        guard before.observed != step.observed else { return }
        let verb = before.action == .write ? "written" : "read"
        ledger.report(
            .internalInconsistency, [operation.id],
            [
                "T1 read \(history.key(step.key)) as \(History.text(step.observed)), but had itself just \(verb) "
                    + History.text(before.observed)
            ])
        if !step.isNull { _ = commitUnknown(writerOf: step) }
    }

    private mutating func commitUnknown(writerOf step: Step) -> WriteTable.Entry? {
        guard let found = table.find(step.key, step.value) else { return nil }
        let entry = table.entries[found]
        if history.operations[Int(entry.operation)].outcome == .info { isCommitted[Int(entry.operation)] = true }
        return entry
    }

    private mutating func inspectExternal(_ operation: Operation, _ step: Step) {
        guard !step.isNull else { return }
        let key = history.key(step.key)
        guard let entry = commitUnknown(writerOf: step) else {
            ledger.report(.garbageRead, [operation.id], ["T1 read \(key) as \(step.value), which nobody wrote"])
            return
        }
        let writer = Int(entry.operation)
        if writer == operation.id {
            ledger.report(
                .internalInconsistency, [operation.id],
                ["T1 read \(key) as \(step.value), which it wrote itself only afterwards"])
            return
        }
        if history.operations[writer].outcome == .fail {
            ledger.report(
                .g1a, [operation.id, writer], ["T1 read \(key) as \(step.value), which T2 wrote and which failed"])
            let isUpdate = operation.steps.contains {
                history.steps[$0].key == step.key && history.steps[$0].action == .write
            }
            guard isUpdate else { return }
            ledger.report(
                .dirtyUpdate, [writer, operation.id],
                ["T2 read \(key) as \(step.value), which T1 wrote and which failed, and then wrote \(key) itself"])
        } else if !entry.isFinal {
            ledger.report(
                .g1b, [operation.id, writer],
                ["T1 read \(key) as \(step.value), which is not the last that T2 wrote there: it saw the middle of T2"])
        }
    }

    /// Unknown transactions that committed wrote; what they read is not known.
    private mutating func addAccessesOfUnknown() {
        for operation in history.operations where operation.outcome == .info && isCommitted[operation.id] {
            for place in operation.steps where history.steps[place].action == .write {
                let step = history.steps[place]
                guard let found = table.find(step.key, step.value), table.entries[found].isFinal else { continue }
                accesses.append(
                    Access(operation: Int32(operation.id), key: step.key, read: nil, written: Int32(found)))
            }
        }
        accesses.sort { ($0.key, $0.operation) < ($1.key, $1.operation) }
    }
}
