import MeridianCore
import Synchronization

/// The applied requests of a node's ranges, in memory, where every proposal can ask for its own.
///
/// A request is remembered while its timestamp is above the range's horizon, which is the closed timestamp (before the
/// last standstill, `AppliedState.forgetting`) less the retention. The horizon is part of the log, so all replicas of a
/// range remember the same at the same index, and the answer does not depend on when a request was in fact thrown away.
final class RequestMemory: Sendable {
    struct Outcome: Hashable, Sendable {
        var request: RequestID
        var applied: AppliedRequest
    }

    fileprivate struct Remembered {
        var outcomes: [RequestID: AppliedRequest] = [:]
        /// The requests in the order of their application, from `head` on; what lies before has been thrown away.
        var order: [RequestID] = []
        var head = 0
        var horizon = Timestamp(rawValue: .min)
    }

    private let retentionNanoseconds: Int64
    private let ranges = Mutex<[RangeID: Remembered]>([:])

    init(retention: Duration) { retentionNanoseconds = retention.nanoseconds }

    func horizon(closed: Timestamp) -> Timestamp { closed.advanced(byNanoseconds: -retentionNanoseconds) }

    func remember(_ outcomes: [Outcome], in range: RangeID, closed: Timestamp) {
        let horizon = horizon(closed: closed)
        ranges.withLock { $0[range, default: Remembered()].remember(outcomes, horizon: horizon) }
    }

    /// Forgets what was known of the range and remembers these instead.
    func replace(_ outcomes: [Outcome], in range: RangeID, closed: Timestamp) {
        forget(range)
        remember(outcomes, in: range, closed: closed)
    }

    func forget(_ range: RangeID) { ranges.withLock { $0[range] = nil } }
    func forgetAll() { ranges.withLock { $0 = [:] } }

    func outcome(of request: RequestID, in range: RangeID) -> AppliedRequest? {
        ranges.withLock { ranges in
            guard let remembered = ranges[range], let outcome = remembered.outcomes[request] else { return nil }
            return outcome.timestamp > remembered.horizon ? outcome : nil
        }
    }

    /// All that are remembered of a range, in the order of their application.
    func outcomes(in range: RangeID) -> [Outcome] {
        ranges.withLock { ranges in
            guard let remembered = ranges[range] else { return [] }
            return remembered.order[remembered.head...].compactMap { request in
                guard let applied = remembered.outcomes[request], applied.timestamp > remembered.horizon else {
                    return nil
                }
                return Outcome(request: request, applied: applied)
            }
        }
    }
}

extension RequestMemory.Remembered {
    fileprivate mutating func remember(_ outcomes: [RequestMemory.Outcome], horizon: Timestamp) {
        self.horizon = max(self.horizon, horizon)
        for outcome in outcomes {
            // Asking again returns the first outcome, so a second one does not replace it.
            if let first = self.outcomes[outcome.request], first.timestamp > self.horizon { continue }
            if self.outcomes.updateValue(outcome.applied, forKey: outcome.request) == nil {
                order.append(outcome.request)
            }
        }
        while head < order.count, let oldest = self.outcomes[order[head]], oldest.timestamp <= self.horizon {
            self.outcomes[order[head]] = nil
            head += 1
        }
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }
}
