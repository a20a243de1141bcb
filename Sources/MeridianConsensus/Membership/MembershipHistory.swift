import MeridianCore

/// The memberships that a log names, oldest first, so that truncating an uncommitted one restores the one before.
///
/// A membership is in force from the moment it is appended (Raft §6), which is why the last one counts, committed
/// or not, and why it must be found again in the log after a restart.
///
/// Invariant: never empty; indexes rise. The first record is the one in force at the log's applied or compacted part.
package struct MembershipHistory: Hashable, Sendable {
    private struct Record: Hashable, Sendable {
        var index: LogIndex
        var membership: Membership
    }

    private var records: [Record]

    package init(_ membership: Membership, at index: LogIndex) {
        records = [Record(index: index, membership: membership)]
    }

    /// The membership in force, and where it was appended.
    package var current: Membership { records[records.count - 1].membership }
    package var currentIndex: LogIndex { records[records.count - 1].index }

    /// The membership that is in force for entries at `index`.
    package func membership(at index: LogIndex) -> Membership? {
        records.last { $0.index <= index }?.membership
    }

    package mutating func append(_ membership: Membership, at index: LogIndex) {
        precondition(index > currentIndex, "membership at \(index) follows one at \(currentIndex)")
        records.append(Record(index: index, membership: membership))
    }

    /// The log was cut from `index` on.
    /// - Returns: whether another membership is in force now.
    package mutating func truncate(from index: LogIndex) -> Bool {
        let before = records.count
        while records.count > 1, records[records.count - 1].index >= index { records.removeLast() }
        precondition(currentIndex < index, "truncated from \(index), which the oldest membership needs")
        return records.count != before
    }

    /// The log up to `index` is committed: what was in force before the last membership at or below it can go.
    package mutating func forget(before index: LogIndex) {
        while records.count > 1, records[1].index <= index { records.removeFirst() }
    }
}
