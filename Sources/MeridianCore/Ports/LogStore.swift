/// The port to a node's durable Raft logs: all groups of the node in one store, so that one transaction and one
/// fsync serve them all.
///
/// Calls come from one thread at a time. A store that has thrown from `write` refuses every later write: after a
/// failed fsync nobody knows what is on the disk, so the node must recover from its peers.
package protocol LogStore: AnyObject, Sendable {
    /// Everything that is durable, checked against its checksums. Entries are contiguous from `base`.
    /// - Throws: `MeridianError` with `.corruption`, naming the range and index, when a checksum does not hold.
    func load() throws -> [RangeID: StoredLog]

    /// Makes all writes durable, in one transaction and one fsync, before it returns.
    /// - Throws: `MeridianError` with `.diskFull` (nothing was written, the store stays usable) or `.storageFailed`.
    func write(_ writes: [LogWrite]) throws

    /// Bytes that a checkpoint would move. The owner calls `checkpoint` when nobody waits for a commit.
    var pendingCheckpointByteCount: Int { get }
    func checkpoint() throws

    /// Rewrites the files so that they hold no bytes of entries that were compacted, nor of anything else that is gone.
    /// - Parameter forgotten: up to where ranges must have been compacted.
    /// - Returns: `false`, and nothing was done, while something at or below is still there.
    func scrub(_ forgotten: [RangeID: LogIndex]) throws -> Bool

    /// Releases the files. No call may follow.
    func close() throws
}

/// One group's durable log, as found at a start.
package struct StoredLog: Hashable, Sendable {
    package var hardState: HardState
    /// The position just before the first entry: what has been cut off.
    package var base: LogPosition
    package var entries: [Entry]

    /// Whether nothing was ever appended, or all of it was removed.
    package var isEmpty: Bool { entries.isEmpty && base.index == .zero }

    /// Whether the group is still to be dealt with: it has a log, or was leaving.
    package var isLeft: Bool { !isEmpty || hardState.isDeparting }

    package init(hardState: HardState = HardState(), base: LogPosition = .zero, entries: [Entry] = []) {
        self.hardState = hardState
        self.base = base
        self.entries = entries
    }
}

/// One group's part of a batch. The parts apply in the order of the fields.
package struct LogWrite: Sendable {
    package var range: RangeID
    /// Forget the whole group.
    package var remove = false
    /// Drop every entry and start again after this position (a snapshot was installed).
    package var reset: LogPosition?
    /// Append these, contiguous; everything from the first one's index on is replaced.
    package var entries: [Entry] = []
    package var hardState: HardState?
    /// Drop the entries up to and including this position. It does not add to the cost of a commit that waits.
    package var compact: LogPosition?

    package init(range: RangeID) { self.range = range }
}
