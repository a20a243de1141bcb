import MeridianCore

/// The timestamps of the last commands that a replica has applied, as long as they may still lie in the future
/// somewhere: what a reader can be shown must be past on every clock first.
///
/// Promises: `highest(notAfter:)` is never below the highest timestamp at or below the given one among those that were
/// noted and are not past. Of more than `capacity` the oldest are taken together, as if all were the last of them.
package struct RecentTimestamps: Hashable, Sendable {
    /// Ascending.
    private var timestamps: [Timestamp] = []
    /// The last of those that are not known one by one.
    private var crowd: Timestamp?

    package static let capacity = 256

    package init() {}

    /// A transaction of several ranges can commit at a lower timestamp than what stands before it in the log.
    /// - Parameter earliest: what the clock says; timestamps below it are past.
    package mutating func note(_ timestamp: Timestamp, earliest: Timestamp) {
        guard timestamp >= earliest else { return }
        if let crowd, crowd < earliest { self.crowd = nil }
        if let first = timestamps.first, first < earliest {
            timestamps.removeFirst(timestamps.prefix { $0 < earliest }.count)
        }
        let position = (timestamps.lastIndex { $0 <= timestamp } ?? -1) + 1
        if position > 0, timestamps[position - 1] == timestamp { return }
        timestamps.insert(timestamp, at: position)
        if timestamps.count > Self.capacity {
            crowd = timestamps[Self.capacity / 2]
            timestamps.removeFirst(Self.capacity / 2 + 1)
        }
    }

    /// There were commands with timestamps up to this one, which are not known one by one: a restart or a snapshot.
    package mutating func noteAll(upTo timestamp: Timestamp) {
        timestamps.removeAll { $0 <= timestamp }
        crowd = max(crowd ?? timestamp, timestamp)
    }

    /// The highest that a reader as of a time can see, of those that may lie in the future; `nil` when there is none.
    package func highest(notAfter time: Timestamp) -> Timestamp? {
        if let found = timestamps.last(where: { $0 <= time }) { return found }
        return crowd.map { min($0, time) }
    }
}
