import MeridianCheckers
import MeridianCore

/// A valid history of a few operations, with many of unknown outcome, of which some happened, some never, and some
/// late. The keys are such as a careless comparison takes for one another.
struct SmallHistory {
    private let model: HistoryModel
    private var random: SplitMix64
    private let keys: [HistoryKey]

    private var held: [HistoryKey: [Int]] = [:]
    private var balances = [10, 10, 10]
    private var elements: [Int] = []
    private var lastValue = 0

    private var events: [HistoryEvent] = []

    static func events(_ model: HistoryModel, seed: UInt64) -> [HistoryEvent] {
        var history = SmallHistory(model, seed)
        history.run()
        return history.events
    }

    private init(_ model: HistoryModel, _ seed: UInt64) {
        self.model = model
        random = SplitMix64(seed: seed)
        let pools: [[HistoryKey]] = [
            [.string("\u{e9}"), .string("e\u{301}")], [.int(1), .string("1")], [.int(1), .int(2)],
        ]
        keys = pools[Int(random.below(3))]
    }

    private struct Running {
        let process: Int
        let asked: HistoryValue
        /// What it will say, and whether it happens.
        let phase: HistoryEvent.Phase
        let happens: Bool
        var answer: HistoryValue?
    }

    private mutating func run() {
        let count = 2 + Int(random.below(5))
        var invoked = 0
        var running: [Running] = []
        // Unknown operations that happen after their process has given up.
        var late: [HistoryValue] = []
        var free = [0, 1, 2]
        var nextProcess = 3
        while invoked < count || !running.isEmpty {
            if let value = late.first, random.below(3) == 0 {
                _ = apply(value)
                late.removeFirst()
            }
            if invoked < count, !free.isEmpty, random.below(3) > 0 || running.isEmpty {
                let process = free.remove(at: pick(free.count))
                let asked = ask()
                emit(process, .invoke, asked)
                let fate = random.below(12)
                running.append(
                    Running(
                        process: process, asked: asked, phase: fate < 8 ? .ok : fate < 9 ? .fail : .info,
                        happens: fate < 8 || fate == 9))
                invoked += 1
            } else if !running.isEmpty {
                let place = pick(running.count)
                if running[place].answer == nil, running[place].happens {
                    running[place].answer = apply(running[place].asked)
                    if running[place].answer != nil { continue }
                }
                let done = running.remove(at: place)
                switch done.phase {
                case .ok where done.answer != nil: emit(done.process, .ok, done.answer)
                case .ok, .fail, .invoke: emit(done.process, .fail, done.asked)
                case .info:
                    emit(done.process, .info, done.asked)
                    if !done.happens, random.below(2) == 0 { late.append(done.asked) }
                    free.append(nextProcess)
                    nextProcess += 1
                    continue
                }
                free.append(done.process)
            }
        }
    }

    private mutating func pick(_ count: Int) -> Int { Int(random.below(UInt64(count))) }

    private mutating func emit(_ process: Int, _ phase: HistoryEvent.Phase, _ value: HistoryValue?) {
        events.append(
            HistoryEvent(index: events.count, process: process, phase: phase, value: value, time: events.count))
    }

    private mutating func ask() -> HistoryValue {
        let key = keys[pick(2)]
        switch model {
        case .append, .registers, .monotonic:
            return .transaction((0..<1 + pick(3)).map { _ in step(keys[pick(2)]) })
        case .longFork:
            lastValue += 1
            if random.below(2) == 0 { return .transaction([.write(.int(lastValue), lastValue)]) }
            return .transaction((0..<1 + pick(3)).map { _ in .read(.int(1 + pick(max(1, lastValue))), nil) })
        case .register:
            switch pick(4) {
            case 0, 1: return .read(key, nil)
            case 2: return .write(key, 1 + pick(3))
            default: return .compareAndSet(key, from: held[key]?.last, to: 1 + pick(3))
            }
        case .bank:
            if random.below(2) == 0 { return .balances(nil) }
            return .transfer(from: .int(pick(3)), to: .int(pick(3)), amount: 1 + pick(4))
        case .set, .causal:
            if random.below(2) == 0 { return .elements(nil) }
            lastValue += 1
            return .add(lastValue)
        }
    }

    private mutating func step(_ key: HistoryKey) -> TransactionStep {
        let isRead = random.below(2) == 0
        if isRead { return model == .append ? .readList(key, nil) : .read(key, nil) }
        lastValue += 1
        return model == .append ? .append(key, lastValue) : .write(key, lastValue)
    }

    private mutating func apply(_ value: HistoryValue) -> HistoryValue? {
        switch value {
        case .transaction(let steps): return .transaction(steps.map { apply($0) })
        case .read(let key, _): return .read(key, held[key]?.last)
        case .write(let key, let value):
            held[key] = [value]
            return .write(key, value)
        case .compareAndSet(let key, let from, let to):
            guard held[key]?.last == from else { return nil }
            held[key] = [to]
            return value
        case .transfer(.int(let from), .int(let to), let amount):
            guard balances[from] >= amount else { return nil }
            balances[from] -= amount
            balances[to] += amount
            return value
        case .balances:
            return .balances(
                balances.enumerated().map { AccountBalance(account: .int($0.offset), balance: $0.element) })
        case .add(let element):
            elements.append(element)
            return value
        case .elements: return .elements(elements)
        case .transfer: return nil
        }
    }

    private mutating func apply(_ step: TransactionStep) -> TransactionStep {
        switch step {
        case .append(let key, let value): held[key, default: []].append(value)
        case .write(let key, let value):
            let old = held[key]?.last ?? value
            held[key] = [model == .monotonic ? max(old, value) : value]
        case .readList(let key, _): return .readList(key, held[key])
        case .read(let key, _): return .read(key, held[key]?.last)
        }
        return step
    }
}
