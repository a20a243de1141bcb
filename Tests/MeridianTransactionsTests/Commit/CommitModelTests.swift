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

    /// Ranges fail over without the end of their logs, or are given up, while the old history goes on unaware.
    @Test(arguments: UInt64(0)..<8)
    func whatSurvivesALossIsCommittedEverywhereOrNowhere(block: UInt64) {
        for seed in (block * Self.seedsPerTest)..<((block + 1) * Self.seedsPerTest) {
            var model = CommitModel(seed: seed, losses: true)
            let hasEnded = model.run()
            #expect(hasEnded, "seed \(seed): it does not come to an end")
            #expect(model.breach == nil, "seed \(seed)")
        }
    }

    /// As they were found, before each was fixed.
    @Test(arguments: [
        // A history without the end of its log committed what the old one had refused.
        UInt64(474), 1_219, 3_754,
        // A history that had ended bore witness to a commit.
        5_353, 6_423,
    ])
    func lossesThatHaveFoundABugStayRight(seed: UInt64) {
        var model = CommitModel(seed: seed, losses: true)
        let hasEnded = model.run()
        #expect(hasEnded)
        #expect(model.breach == nil)
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
}
