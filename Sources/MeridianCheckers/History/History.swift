/// A history: what processes asked of a system, in which order, and what they were answered.
///
/// Events are joined to operations as they are recorded, and their form is checked: each completion has its invocation,
/// a process has one operation open and none after one of unknown outcome, indexes rise, time does not go back, values
/// fit the model. A checker can therefore trust what it gets.
/// The definition of a history, and of the order of two operations in real time, is that of Herlihy and Wing,
/// "Linearizability" (TOPLAS 1990), section 2.
public struct History: Sendable {
    public let model: HistoryModel
    /// In the order of their invocations.
    public private(set) var operations: [Operation] = []
    /// How many events were recorded.
    public private(set) var eventCount = 0

    /// Dense numbers stand for keys, in order of appearance.
    private(set) var keys: [HistoryKey] = []
    private(set) var steps: [Step] = []
    private(set) var elements: [Int] = []

    private var numberOfKey: [HistoryKey: Int32] = [:]
    private var regions: [String] = []
    /// Regions go by their bytes, as keys do.
    private var numberOfRegion: [HistoryKey: Int32] = [:]
    private var openOperation: [Int: Int] = [:]
    /// The operation of unknown outcome with which a process ended.
    private var lastOperation: [Int: Int] = [:]
    private var lastIndex = Int.min
    private var lastTime = Int.min

    public init(model: HistoryModel) { self.model = model }

    /// - Throws: `HistoryError` at the first event that does not fit those before it; `line` is its number.
    public init(model: HistoryModel, events: some Sequence<HistoryEvent>) throws(HistoryError) {
        self.init(model: model)
        var line = 0
        for event in events {
            line += 1
            try record(event, line: line)
        }
    }

    /// Adds the next event.
    ///
    /// - Throws: `HistoryError` naming `line` if it does not fit those before; the history is unchanged then.
    public mutating func record(_ event: HistoryEvent, line: Int) throws(HistoryError) {
        guard event.index > lastIndex else {
            throw HistoryError(
                line: line, reason: "index \(event.index) is not above the index before, \(lastIndex)")
        }
        guard event.time >= lastTime else {
            throw HistoryError(line: line, reason: "time \(event.time) ns is before the time before, \(lastTime) ns")
        }
        if let open = openOperation[event.process] {
            guard event.phase != .invoke else {
                throw HistoryError(
                    line: line,
                    reason: "process \(event.process) invokes again, but its operation with index "
                        + "\(operations[open].index) is still open")
            }
            try complete(open, with: event, line: line)
        } else {
            guard event.phase == .invoke else {
                throw HistoryError(
                    line: line,
                    reason: "\(event.phase.rawValue) of process \(event.process) without an invoke that it completes")
            }
            if let last = lastOperation[event.process] {
                throw HistoryError(
                    line: line,
                    reason: "process \(event.process) invokes again, but its operation with index "
                        + "\(operations[last].index) is of unknown outcome and may still happen; whoever goes on after "
                        + "an info does so as another process")
            }
            try invoke(event, line: line)
        }
        lastIndex = event.index
        lastTime = event.time
        eventCount += 1
    }

    private mutating func invoke(_ event: HistoryEvent, line: Int) throws(HistoryError) {
        let first = steps.count
        do {
            try pack(event.value, line: line)
        } catch {
            steps.removeSubrange(first...)
            throw error
        }
        openOperation[event.process] = operations.count
        operations.append(
            Operation(
                id: operations.count, process: event.process, index: event.index, invokedAt: event.time,
                start: eventCount, regionID: number(ofRegion: event.region), firstStep: first,
                stepCount: Int32(steps.count - first)))
    }

    private mutating func complete(_ id: Int, with event: HistoryEvent, line: Int) throws(HistoryError) {
        if event.phase == .ok {
            // The completion's steps replace the invocation's: the same, with what was read.
            let first = steps.count
            do {
                try pack(event.value, line: line)
                try checkShape(of: first..<steps.count, against: operations[id].steps, line: line)
            } catch {
                steps.removeSubrange(first...)
                throw error
            }
            let invoked = operations[id].firstStep
            for offset in 0..<steps.count - first { steps[invoked + offset] = steps[first + offset] }
            steps.removeSubrange(first...)
        }
        openOperation[event.process] = nil
        operations[id].completionIndex = event.index
        operations[id].completedAt = event.time
        switch event.phase {
        case .ok: operations[id].outcome = .ok
        case .fail: operations[id].outcome = .fail
        case .info, .invoke:
            lastOperation[event.process] = id
            return
        }
        operations[id].end = eventCount
    }

    /// A completion does what its invocation said: same steps, keys and written values.
    private func checkShape(of found: Range<Int>, against invoked: Range<Int>, line: Int) throws(HistoryError) {
        guard found.count == invoked.count else {
            throw HistoryError(
                line: line, reason: "\(found.count) steps completed, but \(invoked.count) steps were invoked")
        }
        for offset in 0..<found.count {
            let one = steps[found.lowerBound + offset]
            let other = steps[invoked.lowerBound + offset]
            let isSame =
                one.action == other.action && one.key == other.key && one.otherKey == other.otherKey
                && (one.isRead || (one.value == other.value && one.other == other.other))
            guard isSame else {
                throw HistoryError(
                    line: line, reason: "step \(offset + 1) is not what was invoked (action, key or written value)")
            }
        }
    }

    private mutating func pack(_ value: HistoryValue?, line: Int) throws(HistoryError) {
        guard let value else { throw HistoryError(line: line, reason: "an invoke or ok needs a value") }
        guard model.takes(value) else {
            throw HistoryError(line: line, reason: "the value is none of the model \(model.rawValue)")
        }
        guard !value.holds(Step.nothing) else {
            throw HistoryError(line: line, reason: "\(Step.nothing) is reserved; values begin above it")
        }
        switch value {
        case .transaction(let parts):
            for part in parts { pack(part) }
        case .read(let key, let found):
            steps.append(Step(action: .read, isNull: found == nil, key: number(of: key), value: found ?? 0))
        case .write(let key, let value):
            steps.append(Step(action: .write, key: number(of: key), value: value))
        case .compareAndSet(let key, let from, let to):
            steps.append(
                Step(action: .compareAndSet, key: number(of: key), value: to, other: from ?? Step.nothing))
        case .transfer(let from, let to, let amount):
            steps.append(
                Step(action: .transfer, key: number(of: from), otherKey: number(of: to), value: amount))
        case .balances(let found):
            let first = elements.count
            for entry in found ?? [] {
                elements.append(Int(number(of: entry.account)))
                elements.append(entry.balance)
            }
            steps.append(
                Step(action: .balances, isNull: found == nil, count: Int32(found?.count ?? 0), other: first))
        case .add(let element):
            steps.append(Step(action: .add, value: element))
        case .elements(let found):
            packList(.elements, key: 0, found)
        }
    }

    private mutating func pack(_ part: TransactionStep) {
        switch part {
        case .append(let key, let value):
            steps.append(Step(action: .append, key: number(of: key), value: value))
        case .write(let key, let value):
            steps.append(Step(action: .write, key: number(of: key), value: value))
        case .read(let key, let found):
            steps.append(Step(action: .read, isNull: found == nil, key: number(of: key), value: found ?? 0))
        case .readList(let key, let found):
            packList(.readList, key: number(of: key), found)
        }
    }

    private mutating func packList(_ action: Step.Action, key: Int32, _ found: [Int]?) {
        let first = elements.count
        if let found { elements.append(contentsOf: found) }
        steps.append(
            Step(action: action, isNull: found == nil, count: Int32(elements.count - first), key: key, other: first))
    }

    private mutating func number(of key: HistoryKey) -> Int32 {
        if let number = numberOfKey[key] { return number }
        let number = Int32(keys.count)
        keys.append(key)
        numberOfKey[key] = number
        return number
    }

    private mutating func number(ofRegion region: String?) -> Int32 {
        guard let region else { return -1 }
        if let number = numberOfRegion[.string(region)] { return number }
        let number = Int32(regions.count)
        regions.append(region)
        numberOfRegion[.string(region)] = number
        return number
    }
}

extension History {
    /// Where the process of an operation ran, if that was recorded.
    public func region(of operation: Operation) -> String? {
        operation.regionID < 0 ? nil : regions[Int(operation.regionID)]
    }

    /// What an operation did and, if it is ok, what it saw.
    public func value(of operation: Operation) -> HistoryValue {
        guard model != .append, model != .registers, model != .longFork, let first = operation.steps.first,
            operation.steps.count == 1
        else { return .transaction(operation.steps.map { transactionStep(steps[$0]) }) }
        let step = steps[first]
        switch step.action {
        case .append, .readList: return .transaction([transactionStep(step)])
        case .read: return .read(key(step.key), step.isNull ? nil : step.value)
        case .write: return .write(key(step.key), step.value)
        case .compareAndSet:
            return .compareAndSet(key(step.key), from: step.other == Step.nothing ? nil : step.other, to: step.value)
        case .transfer: return .transfer(from: key(step.key), to: key(step.otherKey), amount: step.value)
        case .add: return .add(step.value)
        case .elements: return .elements(step.isNull ? nil : Array(elements[step.list]))
        case .balances: return .balances(step.isNull ? nil : balances(step))
        }
    }

    func key(_ number: Int32) -> HistoryKey { keys[Int(number)] }

    func balances(_ step: Step) -> [AccountBalance] {
        precondition(step.action == .balances, "\(step.action) has no balances")
        return (0..<Int(step.count)).map { pair in
            AccountBalance(
                account: keys[elements[step.other + 2 * pair]], balance: elements[step.other + 2 * pair + 1])
        }
    }

    private func transactionStep(_ step: Step) -> TransactionStep {
        switch step.action {
        case .append: return .append(key(step.key), step.value)
        case .readList: return .readList(key(step.key), step.isNull ? nil : Array(elements[step.list]))
        case .write: return .write(key(step.key), step.value)
        case .read: return .read(key(step.key), step.isNull ? nil : step.value)
        case .compareAndSet, .transfer, .add, .elements, .balances:
            preconditionFailure("\(step.action) is no step of a transaction")
        }
    }

    /// - Throws: `.wrongModel` unless the history was read for one of `models`.
    func require(_ models: HistoryModel...) throws(CheckerError) {
        guard models.contains(model) else { throw .wrongModel(model, expected: models) }
    }
}
