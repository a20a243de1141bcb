import MeridianCore

/// How far the versions below the ranges' thresholds have been collected.
///
/// A round goes through a range's keys once, in pieces, by the threshold that the range had when it began. What is
/// applied meanwhile lies above that. Nothing of this is written down: after a start each range is gone through again.
struct Collections: Hashable, Sendable {
    struct Round: Hashable, Sendable {
        var threshold: Timestamp
        /// Where it goes on; `nil` at the range's first key.
        var next: Key?
    }

    /// The threshold of the last round that came to its end.
    private var collected: [RangeID: Timestamp] = [:]
    private var rounds: [RangeID: Round] = [:]

    /// The ranges that have something to collect.
    func due(of states: [RangeID: AppliedState]) -> [RangeID] {
        states.lazy.filter { $0.value.threshold > collected[$0.key] ?? .zero }.map(\.key).sorted()
    }

    /// The round that is under way, or a new one if the threshold has risen.
    func round(of range: RangeID, in states: [RangeID: AppliedState]) -> Round? {
        if let round = rounds[range] { return round }
        guard let threshold = states[range]?.threshold, threshold > collected[range] ?? .zero else { return nil }
        return Round(threshold: threshold, next: nil)
    }

    /// - Parameter next: where the round goes on, or `nil` when it has come to its end.
    mutating func note(_ round: Round, of range: RangeID, next: Key?) {
        guard let next else {
            rounds[range] = nil
            collected[range] = round.threshold
            return
        }
        rounds[range] = Round(threshold: round.threshold, next: next)
    }

    /// The range's rows are other ones.
    mutating func forget(_ range: RangeID) {
        rounds[range] = nil
        collected[range] = nil
    }
}

extension CollectionProgress {
    static let nothing = CollectionProgress(removed: 0, isComplete: true)
}
