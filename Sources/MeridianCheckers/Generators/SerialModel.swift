import MeridianCore

/// What a generated history talks to: one copy, one operation at a time.
struct SerialModel {
    private let model: HistoryModel
    private var lists: [Int: [Int]] = [:]
    private var registers: [Int: Int] = [:]
    private var balances: [Int]
    private var elements: [Int] = []

    /// Keys that are in use now; each is replaced after some writes, so that lists stay short and registers young.
    private var keys: [Int]
    private var nextKey: Int
    private var writeCounts: [Int]
    private var nextValue = 1

    private static let activeKeyCount = 10
    private static let writesPerKey = 32
    private static let operationsPerRegister = 200
    private static let accountCount = 8
    private static let initialBalance = 100

    init(_ model: HistoryModel) {
        self.model = model
        keys = Array(0..<Self.activeKeyCount)
        nextKey = Self.activeKeyCount
        writeCounts = [Int](repeating: 0, count: Self.activeKeyCount)
        balances = [Int](repeating: Self.initialBalance, count: Self.accountCount)
    }

    /// What a process asks next.
    mutating func invocation(_ random: inout SplitMix64) -> HistoryValue {
        switch model {
        case .append: return .transaction(steps(&random, isList: true))
        case .registers: return .transaction(steps(&random, isList: false))
        case .register: return registerOperation(&random)
        case .bank:
            guard random.below(4) > 0 else { return .balances(nil) }
            let from = Int(random.below(UInt64(Self.accountCount)))
            let to = (from + 1 + Int(random.below(UInt64(Self.accountCount - 1)))) % Self.accountCount
            return .transfer(from: .int(from), to: .int(to), amount: 1 + Int(random.below(20)))
        case .set, .causal:
            guard random.below(10) > 0 else { return .elements(nil) }
            nextValue += 1
            return .add(nextValue)
        case .monotonic:
            let key = HistoryKey.int(Int(random.below(4)))
            guard random.below(2) > 0 else { return .read(key, nil) }
            nextValue += 1
            return .write(key, nextValue)
        case .longFork: return .transaction(longForkSteps(&random))
        }
    }

    private mutating func steps(_ random: inout SplitMix64, isList: Bool) -> [TransactionStep] {
        (0..<1 + Int(random.below(4))).map { _ in
            let slot = Int(random.below(UInt64(Self.activeKeyCount)))
            let key = HistoryKey.int(keys[slot])
            guard random.below(2) == 0 else { return isList ? .readList(key, nil) : .read(key, nil) }
            let value = count(slot, limit: Self.writesPerKey)
            return isList ? .append(key, value) : .write(key, value)
        }
    }

    /// - Returns: how often the key in this slot was used, before a new key takes its place at the limit.
    private mutating func count(_ slot: Int, limit: Int) -> Int {
        writeCounts[slot] += 1
        let result = writeCounts[slot]
        if result == limit {
            keys[slot] = nextKey
            nextKey += 1
            writeCounts[slot] = 0
        }
        return result
    }

    /// Few values, so that compare-and-set often succeeds and a read does not tell whom it read.
    private mutating func registerOperation(_ random: inout SplitMix64) -> HistoryValue {
        let slot = Int(random.below(UInt64(Self.activeKeyCount)))
        let key = HistoryKey.int(keys[slot])
        _ = count(slot, limit: Self.operationsPerRegister)
        switch random.below(4) {
        case 0, 1: return .read(key, nil)
        case 2: return .write(key, Int(random.below(5)))
        default: return .compareAndSet(key, from: Int(random.below(5)), to: Int(random.below(5)))
        }
    }

    /// Groups of two keys; each key is written once.
    private mutating func longForkSteps(_ random: inout SplitMix64) -> [TransactionStep] {
        let group = nextValue / 12
        nextValue += 1
        let first = HistoryKey.int(2 * group)
        let second = HistoryKey.int(2 * group + 1)
        switch nextValue % 12 {
        case 4: return [.write(first, 1)]
        case 8: return [.write(second, 1)]
        default:
            return random.below(2) == 0
                ? [.read(first, nil), .read(second, nil)] : [.read(second, nil), .read(first, nil)]
        }
    }

    /// Lets an operation take effect.
    ///
    /// - Returns: what its process is told, nil if it is refused and has no effect.
    mutating func apply(_ value: HistoryValue) -> HistoryValue? {
        switch value {
        case .transaction(let steps): return .transaction(steps.map { apply($0) })
        case .read(let key, _): return .read(key, registers[Self.number(key)])
        case .write(let key, let value):
            let number = Self.number(key)
            registers[number] = model == .monotonic ? max(registers[number] ?? value, value) : value
            return .write(key, value)
        case .compareAndSet(let key, let from, let to):
            guard registers[Self.number(key)] == from else { return nil }
            registers[Self.number(key)] = to
            return value
        case .transfer(let from, let to, let amount):
            guard balances[Self.number(from)] >= amount else { return nil }
            balances[Self.number(from)] -= amount
            balances[Self.number(to)] += amount
            return value
        case .balances:
            return .balances(
                balances.enumerated().map { AccountBalance(account: .int($0.offset), balance: $0.element) })
        case .add(let element):
            elements.append(element)
            return value
        case .elements: return .elements(elements)
        }
    }

    private mutating func apply(_ step: TransactionStep) -> TransactionStep {
        switch step {
        case .append(let key, let value):
            lists[Self.number(key), default: []].append(value)
            return step
        case .readList(let key, _): return .readList(key, lists[Self.number(key)])
        case .write(let key, let value):
            registers[Self.number(key)] = value
            return step
        case .read(let key, _): return .read(key, registers[Self.number(key)])
        }
    }

    private static func number(_ key: HistoryKey) -> Int {
        guard case .int(let number) = key else { preconditionFailure("generated keys are numbers, not \(key)") }
        return number
    }
}
