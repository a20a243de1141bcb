import Foundation
import MeridianCheckers
import MeridianCore
import Testing

/// The checkers against trying every order, on valid histories and on mutations of them: they agree, both ways.
///
/// `MERIDIAN_MUTATIONS=100000 swift test -c release -Xswiftc -enable-testing --filter MutationTests` is the long run:
/// so many for each model and promise.
struct MutationTests {
    static let count = ProcessInfo.processInfo.environment["MERIDIAN_MUTATIONS"].flatMap(Int.init) ?? 500

    struct Promise: Sendable, CustomTestStringConvertible {
        let model: HistoryModel
        let consistency: SerializabilityChecker.Consistency

        var testDescription: String { "\(model.rawValue), \(consistency.rawValue)" }
    }

    static let promises = HistoryModel.allCases.flatMap { model in
        SerializabilityChecker.Consistency.allCases.filter { consistency in
            consistency == .strictSerializable || [.append, .registers, .bank].contains(model)
        }.map { Promise(model: model, consistency: $0) }
    }

    private static func judge(_ events: [HistoryEvent], _ promise: Promise) -> (NaiveSearch.Verdict, [String]) {
        do {
            let verdict = try Checker.check(
                History(model: promise.model, events: events), consistency: promise.consistency)
            return (verdict.isValid ? .valid : .anomalous, verdict.lines)
        } catch {
            return (.refused, ["\(error)"])
        }
    }

    private static func lines(_ events: [HistoryEvent]) -> String {
        var writer = HistoryWriter()
        for event in events { writer.write(event) }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test(arguments: promises) func aCheckerAgreesWithTryingEveryOrder(promise: Promise) {
        var random = SplitMix64(seed: 15)
        var counts: [NaiveSearch.Verdict: Int] = [:]
        var kinds: [Mutation: Int] = [:]
        var mutated = 0
        while mutated < Self.count {
            var events = SmallHistory.events(promise.model, seed: random.next())
            let untouched = Self.judge(events, promise)
            #expect(untouched.0 == .valid, "a valid history is refused\n\(Self.lines(events))\(untouched.1)")
            for _ in 0...random.below(2) {
                let mutation = Mutation.allCases[Int(random.below(UInt64(Mutation.allCases.count)))]
                guard !events.isEmpty, let next = mutation.apply(events, &random) else { continue }
                events = next
                kinds[mutation, default: 0] += 1
            }
            mutated += 1
            let expected = NaiveSearch.judge(
                events, promise.model, isStrict: promise.consistency == .strictSerializable)
            let found = Self.judge(events, promise)
            counts[expected, default: 0] += 1
            guard found.0 != expected else { continue }
            Issue.record(
                """
                mutation \(mutated): the checker says \(found.0.rawValue), trying every order \(expected.rawValue)
                \(Self.lines(events))\(found.1)
                """
            )
            return
        }
        let shown = counts.map { "\($0.value) \($0.key.rawValue)" }.sorted().joined(separator: ", ")
        print("\(promise.testDescription): \(mutated) mutations, \(shown)")
        // So one-sided a sample would tell nothing.
        for verdict in [NaiveSearch.Verdict.valid, .anomalous, .refused] {
            #expect(counts[verdict, default: 0] * 40 > mutated, "only \(counts[verdict, default: 0]) \(verdict)")
        }
        #expect(kinds.count >= 8, "\(kinds)")
    }
}
