import MeridianCore

/// The promises that a replica has heard of one range, and the highest that it can use.
///
/// Promises: `usable` never falls, and is at every moment the highest timestamp whose position is applied, among those
/// that were kept. Of promises that wait for their entries only the useful are kept: each is for a later timestamp than
/// all that ask for less of the log. At most `capacity` wait; beyond that the range follows at a coarser grain.
package struct ClosedTimestamps: Hashable, Sendable {
    /// The highest timestamp as of which the applied rows are complete.
    package private(set) var usable: Timestamp
    /// Those that wait for entries, ascending in timestamp and in index.
    package private(set) var waiting: [ClosedTimestamp] = []

    package static let capacity = 16

    /// - Parameter usable: closed by what is applied already.
    package init(usable: Timestamp = .zero) { self.usable = usable }

    /// The highest timestamp heard of, usable or not.
    package var newest: Timestamp { waiting.last?.timestamp ?? usable }

    /// - Parameter applied: how far the rows are applied.
    package mutating func note(_ promise: ClosedTimestamp, applied: LogIndex) {
        guard promise.timestamp > usable else { return }
        if promise.position.index <= applied {
            usable = promise.timestamp
            waiting.removeAll { $0.timestamp <= usable }
            return
        }
        let isIdle = waiting.contains {
            $0.timestamp >= promise.timestamp && $0.position.index <= promise.position.index
        }
        if isIdle { return }
        waiting.removeAll { $0.timestamp <= promise.timestamp && $0.position.index >= promise.position.index }
        let place = waiting.firstIndex { $0.timestamp > promise.timestamp } ?? waiting.count
        waiting.insert(promise, at: place)
        // The last is the freshest and the first is due first; one of those between is given up.
        if waiting.count > Self.capacity { waiting.remove(at: waiting.count / 2) }
    }

    /// The rows are applied up to an index.
    package mutating func advance(to applied: LogIndex) {
        guard let first = waiting.first, first.position.index <= applied else { return }
        let count = waiting.prefix { $0.position.index <= applied }.count
        usable = max(usable, waiting[count - 1].timestamp)
        waiting.removeFirst(count)
    }

    /// Promises that wait for entries of a history that has ended will never be met.
    package mutating func forgetWaiting() { waiting = [] }

    /// The promise that covers a timestamp and asks for the least of the log; `nil` when none does, or when what is
    /// applied covers it.
    package func waiting(for timestamp: Timestamp) -> ClosedTimestamp? {
        timestamp <= usable ? nil : waiting.first { $0.timestamp >= timestamp }
    }
}
