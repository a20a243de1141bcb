import MeridianCore
import Testing

@testable import MeridianTransactions

/// Coordinators and recoveries against ranges in a hostile world (`CommitModel`): whatever happens, a transaction is
/// committed everywhere or nowhere, and what the client was told is true.
@Suite struct CommitModelTests {
    private static let seedsPerTest: UInt64 = 1_000

    @Test(arguments: UInt64(0)..<8)
    func aTransactionCommitsEverywhereOrNowhereAndTheClientIsToldTheTruth(block: UInt64) {
        for seed in (block * Self.seedsPerTest)..<((block + 1) * Self.seedsPerTest) {
            var model = CommitModel(seed: seed)
            let hasEnded = model.run()
            #expect(hasEnded, "seed \(seed): it does not come to an end")
            #expect(model.breach == nil, "seed \(seed)")
        }
    }

    /// The closure runs again in other ranges, with another anchor, when the gateway has died or nobody knows what
    /// became of the last run: at most one run commits, and it is the one whose result the client has.
    @Test(arguments: UInt64(0)..<8)
    func ofAllRunsOfAClosureOneCommitsAndTheClientHasItsResult(block: UInt64) {
        for seed in (block * Self.seedsPerTest)..<((block + 1) * Self.seedsPerTest) {
            var model = CommitModel(seed: seed, client: .runsAgain)
            let hasEnded = model.run()
            #expect(hasEnded, "seed \(seed): it does not come to an end")
            #expect(model.breach == nil, "seed \(seed)")
        }
    }

    /// What the simulator's seeds 7001363, 7019214, 7001052 and 9015069 have found.
    @Test func aClosureThatRunsAgainBesideAnOpenAttemptIsFound() {
        let breaches = (UInt64(0)..<500).compactMap { seed -> String? in
            var model = CommitModel(seed: seed, client: .leavesAttemptsOpen)
            _ = model.run()
            return model.breach
        }
        #expect(breaches.contains { $0.hasPrefix("two attempts committed") })
        #expect(breaches.contains { $0.contains("was told that it did not") || $0.contains("has the result of") })
    }

    /// Runs that have found a bug each, of those that a few thousand seeds rarely find.
    @Test(arguments: [
        // A recovery took a participant's answer to an earlier one for the anchor's, and aborted what was committed.
        UInt64(90_274), 144_097, 187_377, 191_804,
        // A call whose time was up was taken for one that nobody could take up any more.
        99_360, 210_767, 213_249,
    ])
    func runsThatHaveFoundABugStayRight(seed: UInt64) {
        var model = CommitModel(seed: seed)
        let hasEnded = model.run()
        #expect(hasEnded)
        #expect(model.breach == nil)
    }

    /// The model would prove nothing if nothing happened in it.
    @Test func theModelReachesEveryEnd() {
        var committed = 0
        var ruledOut = 0
        var unknown = 0
        for seed in UInt64(0)..<300 {
            var model = CommitModel(seed: seed)
            _ = model.run()
            if model.told != nil {
                committed += 1
            } else if model.ruledOut.isEmpty {
                unknown += 1
            } else {
                ruledOut += 1
            }
        }
        #expect(committed > 10 && ruledOut > 10 && unknown > 10, "\(committed) \(ruledOut) \(unknown)")
    }

    @Test func theModelReachesLaterRunsThatCommit() {
        let models = (UInt64(0)..<300).map { seed in
            var model = CommitModel(seed: seed, client: .runsAgain)
            _ = model.run()
            return model
        }
        #expect(models.contains { $0.told != nil && $0.toldOf == $0.attempts.last?.id && $0.attempts.count > 2 })
        #expect(models.contains { $0.told != nil && $0.toldOf != nil && $0.attempts.count == 1 })
    }
}
