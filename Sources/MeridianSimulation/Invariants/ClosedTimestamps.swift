import MeridianCore
import MeridianReplica

/// A closed timestamp is a promise that nothing is committed at or below it any more (CockroachDB, "closed
/// timestamps"; Spanner §4.1.3, safe time): along a range's log every timestamp lies above all that was closed before.
final class ClosedTimestamps: Invariant {
    static let name = "closed timestamps are never crossed"
    static let interest: Interest = .commits

    private var closed: [RangeID: Timestamp] = [:]

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        for (range, _, indexes) in ledger.news {
            for index in indexes {
                guard let entry = ledger.entry(range, LogIndex(index)), let timestamp = entry.timestamp
                else { continue }
                let before = closed[range] ?? .zero
                if timestamp <= before {
                    return "\(range): i\(index) commits at \(timestamp.rawValue), but \(before.rawValue) was closed"
                }
                closed[range] = max(before, entry.closed ?? timestamp)
            }
        }
        return nil
    }
}
