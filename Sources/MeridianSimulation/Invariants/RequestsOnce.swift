import MeridianCore
import MeridianReplica

/// A commit that a client asks for again happens once: each request id stands at one place of a range's log, for as
/// long as ids are remembered (`AppliedRequest`; CockroachDB's replays of 2016, reliability.md FC 2).
final class RequestsOnce: Invariant {
    static let name = "a request is committed once"
    static let interest: Interest = .commits

    private struct Request: Hashable {
        var range: RangeID
        var id: RequestID
        /// A commit that a failover has left behind may be made again.
        var generation: Generation
    }

    private var places: [Request: UInt64] = [:]

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        for (range, _, indexes) in ledger.news {
            for index in indexes {
                guard let entry = ledger.entry(range, LogIndex(index)), let id = entry.request, !entry.isAbortion
                else { continue }
                if let first = places.updateValue(
                    index, forKey: Request(range: range, id: id, generation: entry.term.generation))
                {
                    return "\(range): request \(id) is committed at i\(first) and i\(index)"
                }
            }
        }
        return nil
    }
}
