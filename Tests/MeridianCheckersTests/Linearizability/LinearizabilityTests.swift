import MeridianCheckers
import MeridianCore
import Testing

/// The search against a naive one, and against what would make it explode.
struct LinearizabilityTests {
    /// Tries every order. An unknown operation may be left out.
    private static func isLinearizable(_ history: History) -> Bool {
        let operations = history.operations.filter { $0.outcome != .fail }
        func search(_ rest: [Operation], _ state: Int?) -> Bool {
            if rest.allSatisfy({ $0.outcome == .info }) { return true }
            for (place, operation) in rest.enumerated() {
                let isFirst = rest.allSatisfy { other in
                    guard other.outcome == .ok, let end = other.completionIndex else { return true }
                    return end > operation.index || other.id == operation.id
                }
                guard isFirst else { continue }
                var next = rest
                next.remove(at: place)
                switch history.value(of: operation) {
                case .read(_, let found):
                    if operation.outcome == .ok, found != state { continue }
                    if search(next, state) { return true }
                case .write(_, let value): if search(next, value) { return true }
                case .compareAndSet(_, let from, let to): if from == state, search(next, to) { return true }
                default: return false
                }
            }
            return false
        }
        return search(operations, nil)
    }

    /// Random answers: about half of these histories are linearizable.
    private static func randomEvents(_ random: inout SplitMix64) -> [HistoryEvent] {
        var events: [HistoryEvent] = []
        var open: [Int: HistoryValue] = [:]
        var process = [0, 1, 2]
        var invoked = 0
        while invoked < 8 || !open.isEmpty {
            let slot = Int(random.below(3))
            let key = HistoryKey.int(1)
            if let value = open.removeValue(forKey: process[slot]) {
                let outcome = random.below(10)
                let phase: HistoryEvent.Phase = outcome < 7 ? .ok : outcome < 8 ? .fail : .info
                var answered = value
                if case .read = value, phase == .ok {
                    let found = Int(random.below(4))
                    answered = .read(key, found == 0 ? nil : found)
                }
                events.append(
                    HistoryEvent(index: events.count, process: process[slot], phase: phase, value: answered, time: 0))
                if phase == .info { process[slot] += 3 }
            } else if invoked < 8 {
                let number = 1 + Int(random.below(3))
                let value: HistoryValue =
                    switch random.below(5) {
                    case 0, 1: .read(key, nil)
                    case 2, 3: .write(key, number)
                    default: .compareAndSet(key, from: number, to: 1 + Int(random.below(3)))
                    }
                open[process[slot]] = value
                events.append(
                    HistoryEvent(index: events.count, process: process[slot], phase: .invoke, value: value, time: 0))
                invoked += 1
            }
        }
        return events
    }

    @Test func agreesWithTryingEveryOrder() throws {
        var random = SplitMix64(seed: 1)
        var validCount = 0
        for round in 0..<3000 {
            let events = Self.randomEvents(&random)
            let history = try History(model: .register, events: events)
            let isValid = Self.isLinearizable(history)
            validCount += isValid ? 1 : 0
            let verdict = try LinearizabilityChecker.check(history)
            #expect(verdict.isValid == isValid, "round \(round): \(events)")
        }
        #expect((300...2700).contains(validCount), "\(validCount) of 3000 are linearizable: too one-sided to tell")
    }

    @Test func theReportedPrefixIsTheShortest() throws {
        var random = SplitMix64(seed: 2)
        var found = 0
        while found < 200 {
            let events = Self.randomEvents(&random)
            let verdict = try LinearizabilityChecker.check(History(model: .register, events: events))
            guard let anomaly = verdict.anomalies.first else { continue }
            found += 1
            let end = try #require(anomaly.operations.first?.completionIndex)
            // Operations that are open at the end of a prefix are unknown in it, but what fails later did not happen.
            let failed = Set(events.filter { $0.phase == .fail }.map(\.process))
            let known = events.filter { event in
                guard failed.contains(event.process) else { return true }
                let completion = events.first {
                    $0.process == event.process && $0.index >= event.index && $0.phase != .invoke
                }
                return completion?.phase != .fail
            }
            let shorter = try History(model: .register, events: known.filter { $0.index < end })
            let prefix = try History(model: .register, events: known.filter { $0.index <= end })
            #expect(Self.isLinearizable(shorter))
            #expect(!Self.isLinearizable(prefix))
        }
    }

    /// 300 unknown writes are open at once, and then something is read that none of them explains.
    @Test(arguments: [true, false]) func hundredsOfUnknownWritesDoNotExplode(isValid: Bool) throws {
        var events: [HistoryEvent] = []
        func add(_ process: Int, _ phase: HistoryEvent.Phase, _ value: HistoryValue) {
            events.append(HistoryEvent(index: events.count, process: process, phase: phase, value: value, time: 0))
        }
        let key = HistoryKey.int(0)
        for number in 0..<300 { add(number, .invoke, .write(key, number)) }
        for number in 0..<300 { add(number, .info, .write(key, number)) }
        for number in 0..<300 {
            add(1000, .invoke, .read(key, nil))
            add(1000, .ok, .read(key, number))
        }
        add(1000, .invoke, .read(key, nil))
        // Each unknown write happens at most once, so 7 does not come back.
        add(1000, .ok, .read(key, isValid ? 299 : 7))
        let verdict = try LinearizabilityChecker.check(History(model: .register, events: events))
        #expect(verdict.isValid == isValid)
    }

    @Test func aKeyBeyondTheLimitIsNotJudged() throws {
        let history = try GeneratedHistory.register(operations: 500, seed: 1).history()
        #expect(throws: CheckerError.self) { try LinearizabilityChecker.check(history, configurationLimit: 3) }
    }
}
