import MeridianCheckers
import MeridianCore
import Testing

/// What the serializability checker reports is checked by trying every order: small histories with random answers.
struct SoundnessTests {
    private struct Store {
        var lists: [HistoryKey: [Int]] = [:]
        var registers: [HistoryKey: Int] = [:]

        /// Whether a transaction could have seen what it did.
        mutating func run(_ value: HistoryValue, checksReads: Bool) -> Bool {
            guard case .transaction(let steps) = value else { return false }
            for step in steps {
                switch step {
                case .append(let key, let value): lists[key, default: []].append(value)
                case .write(let key, let value): registers[key] = value
                case .readList(let key, let found): if checksReads, found ?? [] != lists[key] ?? [] { return false }
                case .read(let key, let found): if checksReads, found != registers[key] { return false }
                }
            }
            return true
        }
    }

    private static func isSerializable(_ history: History, isStrict: Bool) -> Bool {
        let operations = history.operations.filter { $0.outcome != .fail }
        func search(_ rest: [Operation], _ store: Store) -> Bool {
            if rest.allSatisfy({ $0.outcome == .info }) { return true }
            for (place, operation) in rest.enumerated() {
                let isFirst = rest.allSatisfy { other in
                    guard isStrict, other.outcome == .ok, let end = other.completionIndex else { return true }
                    return end > operation.index || other.id == operation.id
                }
                guard isFirst else { continue }
                var next = rest
                next.remove(at: place)
                var state = store
                guard state.run(history.value(of: operation), checksReads: operation.outcome == .ok) else { continue }
                if search(next, state) { return true }
            }
            return false
        }
        return search(operations, Store())
    }

    /// Transactions on two keys; reads see some state that the keys had, not always the current one.
    private static func randomEvents(_ random: inout SplitMix64, isList: Bool) -> [HistoryEvent] {
        var events: [HistoryEvent] = []
        var states: [[Int]] = [[], []]
        var pasts: [[[Int]]] = [[[]], [[]]]
        var counter = 0
        var open: [Int: [TransactionStep]] = [:]
        var process = [0, 1, 2]
        var invoked = 0
        while invoked < 6 || !open.isEmpty {
            let slot = Int(random.below(3))
            if let steps = open.removeValue(forKey: process[slot]) {
                let outcome = random.below(12)
                let phase: HistoryEvent.Phase = outcome < 10 ? .ok : outcome < 11 ? .fail : .info
                let answered = steps.map { step -> TransactionStep in
                    switch step {
                    case .append(let key, let value), .write(let key, let value):
                        let number = key == .int(0) ? 0 : 1
                        guard phase != .fail || random.below(3) == 0 else { return step }
                        states[number].append(value)
                        pasts[number].append(states[number])
                        return step
                    case .readList(let key, _), .read(let key, _):
                        let number = key == .int(0) ? 0 : 1
                        let past = pasts[number][Int(random.below(UInt64(pasts[number].count)))]
                        let seen = random.below(3) == 0 ? past : states[number]
                        return isList ? .readList(key, seen) : .read(key, seen.last)
                    }
                }
                let value = HistoryValue.transaction(phase == .ok ? answered : steps)
                events.append(
                    HistoryEvent(index: events.count, process: process[slot], phase: phase, value: value, time: 0))
                if phase == .info { process[slot] += 3 }
            } else if invoked < 6 {
                let steps = (0..<1 + Int(random.below(3))).map { _ -> TransactionStep in
                    let key = HistoryKey.int(Int(random.below(2)))
                    guard random.below(2) == 0 else { return isList ? .readList(key, nil) : .read(key, nil) }
                    counter += 1
                    return isList ? .append(key, counter) : .write(key, counter)
                }
                open[process[slot]] = steps
                events.append(
                    HistoryEvent(
                        index: events.count, process: process[slot], phase: .invoke, value: .transaction(steps),
                        time: 0))
                invoked += 1
            }
        }
        return events
    }

    /// Never a false alarm, and none that is missed.
    @Test(arguments: [HistoryModel.append, .registers], SerializabilityChecker.Consistency.allCases)
    func whatIsReportedIsNotSerializableAndNothingElseIs(
        model: HistoryModel, consistency: SerializabilityChecker.Consistency
    ) throws {
        var random = SplitMix64(seed: 11)
        var wrongCount = 0
        for round in 0..<2500 {
            let events = Self.randomEvents(&random, isList: model == .append)
            let history = try History(model: model, events: events)
            let isSerializable = Self.isSerializable(history, isStrict: consistency == .strictSerializable)
            let verdict = try SerializabilityChecker.check(history, consistency: consistency)
            #expect(verdict.isValid == isSerializable, "round \(round): \(verdict.lines.joined(separator: "\n"))")
            wrongCount += isSerializable ? 0 : 1
        }
        #expect(wrongCount > 500)
    }
}
