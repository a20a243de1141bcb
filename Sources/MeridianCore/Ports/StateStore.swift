/// The port to a node's applied state: the MVCC versions of the rows of all its replicas, and how far each group's
/// log has been applied. An apply batch is one transaction without an fsync: after a crash the log replays what is
/// missing, so the log may be cut only up to what `checkpoint` has made durable.
///
/// Calls come from one thread at a time, except those of a `StateReader`, which may run beside them, and `checkpoint`,
/// which may run beside `apply` and the readers and holds up neither.
package protocol StateStore: AnyObject, Sendable {
    /// How far each group has been applied.
    /// - Throws: `MeridianError` with `.corruption`.
    func load() throws -> [RangeID: AppliedState]

    /// Applies all of it in one transaction. A command whose index is not above the range's applied index is skipped.
    func apply(_ batches: [ApplyBatch]) throws

    /// A reader that sees what has been applied. It is used by one thread at a time.
    func makeReader() throws -> any StateReader

    /// Makes everything applied so far durable and returns how far that is, per group.
    func checkpoint() throws -> [RangeID: LogIndex]
    /// Bytes applied since the last checkpoint.
    var pendingCheckpointByteCount: Int { get }

    /// The ranges whose applied threshold has risen since all that lay below it was collected.
    func uncollected() throws -> [RangeID]
    /// Removes versions that no read at or above the range's applied threshold can see, at most `limit` of them: for
    /// each key all but the newest version at or below the threshold, and that one too if it is a deletion. A call goes
    /// on where the last one stopped.
    func collectGarbage(of range: RangeID, in span: KeySpan, limit: Int) throws -> CollectionProgress

    /// The reports of ranges that were asked for (`ApplyBatch.isCompared`), each once.
    func takeReports() -> [DigestReport]
    /// Looks through a piece of a range's rows, about `limit` versions, for what is not as it was applied: bits that
    /// have flipped, in memory or in a file, rows that are gone or have come. A call goes on where the last one
    /// stopped; what is applied meanwhile is accounted for. Damage is told in every report from then on.
    func inspect(_ range: RangeID, in span: KeySpan, limit: Int) throws -> InspectionProgress

    /// A consistent picture of a range as of now, read in chunks, unaffected by later applies.
    func openSnapshot(of range: RangeID, span: KeySpan) throws -> any SnapshotReader
    /// Begins to receive a snapshot. Nothing is visible before `SnapshotWriter.commit`.
    func receiveSnapshot(of range: RangeID, span: KeySpan, state: AppliedState) throws -> any SnapshotWriter

    /// Forgets a replica: its versions and its applied state.
    func remove(_ range: RangeID, span: KeySpan) throws

    /// Rewrites the files so that they hold no bytes of versions that are gone.
    /// - Returns: `false` while somebody reads an older picture of them: a snapshot is under way.
    func scrub() throws -> Bool

    /// Releases the files. No call may follow.
    func close() throws
}

/// Where a replica's rows stand in its group's log.
package struct AppliedState: Hashable, Sendable {
    package var position: LogPosition
    /// The membership in force at `position`.
    package var membership: Membership
    /// The highest closed timestamp applied.
    package internal(set) var closed: Timestamp
    /// Of the last minute, the oldest first.
    package var standstills: [Standstill] = []
    /// The transactions of several ranges that are not over at `position`.
    package var transactions: TransactionTable
    /// The threshold of collection: what only reads below it can see may be gone, here or in another replica, so no
    /// such read is served, and nobody vouches for what has changed since an earlier time. It never falls.
    package var threshold: Timestamp

    package init(
        position: LogPosition, membership: Membership, closed: Timestamp,
        transactions: TransactionTable = TransactionTable(), threshold: Timestamp = .zero
    ) {
        self.position = position
        self.membership = membership
        self.closed = closed
        self.transactions = transactions
        self.threshold = threshold
    }

    /// Follows the closed timestamp of a command.
    package mutating func close(_ timestamp: Timestamp) {
        guard timestamp > closed else { return }
        if closed > .zero, timestamp.rawValue - closed.rawValue > Standstill.shortestNanoseconds {
            standstills.append(
                Standstill(from: closed, until: timestamp.advanced(byNanoseconds: Standstill.memoryNanoseconds)))
        }
        closed = timestamp
        standstills.removeAll { $0.until <= timestamp }
    }

    /// By which time the age of what is remembered of requests is counted: the closed timestamp, but as of before a
    /// standstill for as long afterwards as they are remembered.
    package var forgetting: Timestamp { standstills.first?.from ?? closed }

    /// The highest timestamp that any command up to `position` has.
    package var highestTimestamp: Timestamp { max(closed, transactions.highest) }
}

/// A time for which a range closed nothing: it had no quorum, or nobody asked for anything.
///
/// A commit can be held up for that long, and its timestamp is then that of its proposal. Counted by that, its request
/// would be forgotten by the first entry that follows, before its client could ask. So the time does not count for what
/// is remembered, until a minute later. It is a function of the log, as the memory is: all replicas forget the same.
package struct Standstill: Hashable, Sendable {
    package var from: Timestamp
    /// When it counts after all.
    package var until: Timestamp

    package init(from: Timestamp, until: Timestamp) {
        self.from = from
        self.until = until
    }

    fileprivate static let shortestNanoseconds: Int64 = 10_000_000_000
    /// As long as requests are remembered.
    fileprivate static let memoryNanoseconds: Int64 = 60_000_000_000
}

/// What a call of `collectGarbage` has done.
package struct CollectionProgress: Hashable, Sendable {
    /// How many versions it has removed.
    package var removed: Int
    /// Nothing is left to remove below the threshold that the range had when this round began.
    package var isComplete: Bool

    package init(removed: Int, isComplete: Bool) {
        self.removed = removed
        self.isComplete = isComplete
    }
}

/// What a call of `inspect` has found.
package struct InspectionProgress: Hashable, Sendable {
    /// The range has been looked through to its end.
    package var isComplete: Bool
    /// No damage is known.
    package var isSound: Bool

    package init(isComplete: Bool, isSound: Bool) {
        self.isComplete = isComplete
        self.isSound = isSound
    }
}

/// Committed entries of one range, in order, to be applied together.
package struct ApplyBatch: Sendable {
    package var range: RangeID
    /// What the entries do to the rows and to the memory of requests (`TransactionTable.apply`). Witnesses pass none.
    package var commands: [IndexedCommand]
    /// Where the range stands afterwards.
    package var state: AppliedState
    /// A report of what the rows add up to afterwards is wanted (`StateStore.takeReports`).
    package var isCompared = false
    /// Instead of applying anything, forget the replica and its rows of this span.
    package var cleared: KeySpan?

    package init(range: RangeID, commands: [IndexedCommand], state: AppliedState) {
        self.range = range
        self.commands = commands
        self.state = state
    }

    /// Forgets a replica. The confirmation has the index zero.
    package init(clearing span: KeySpan, of range: RangeID) {
        self.init(
            range: range, commands: [],
            state: AppliedState(position: .zero, membership: Membership(members: []), closed: .zero))
        cleared = span
    }
}

package struct IndexedCommand: Sendable {
    package var index: LogIndex
    package var command: Command

    package init(index: LogIndex, command: Command) {
        self.index = index
        self.command = command
    }
}

/// One version of a row.
package struct Version: Hashable, Sendable {
    package var timestamp: Timestamp
    /// The encoded row, or `nil` where the row was deleted.
    package var value: [UInt8]?

    package init(timestamp: Timestamp, value: [UInt8]?) {
        self.timestamp = timestamp
        self.value = value
    }
}

package struct KeyedVersion: Hashable, Sendable {
    package var key: Key
    package var version: Version

    package init(key: Key, version: Version) {
        self.key = key
        self.version = version
    }
}

/// Reads applied versions.
package protocol StateReader: AnyObject {
    /// The newest version at or below `timestamp`; a deletion counts as a version. `nil` when there is none.
    /// - Throws: `MeridianError` with `.corruption` when the version's checksum does not hold.
    func read(_ key: Key, at timestamp: Timestamp) throws -> Version?

    /// The same for many keys, one after the other: what costs by the question is paid once.
    func read(_ keys: [Key], at timestamp: Timestamp) throws -> [Version?]

    /// The rows of a span as of `timestamp`, in key order, deletions left out, until `limit` rows or `byteLimit`
    /// bytes of values are exceeded; at least one row is returned if there is one. The page resumes at a key.
    func scan(_ span: KeySpan, at timestamp: Timestamp, limit: Int, byteLimit: Int) throws -> Page

    /// The rows of a span whose newest version at or below `timestamp` lies above `since`, in the order of these
    /// versions' timestamps and then of their keys, deletions left out. Rows of one timestamp, which one commit wrote,
    /// come together: after `limit` rows or `byteLimit` bytes of values, what remains of the last timestamp still
    /// follows. The page resumes after its last timestamp.
    ///
    /// Complete however early `since` is: of a row that is live at `timestamp` the newest version is never collected
    /// before the threshold has passed `timestamp`.
    ///
    /// Fast in spans of an outbox (`IndexID.outbox`). Elsewhere it goes through the whole span.
    func changes(
        in span: KeySpan, since: Timestamp, at timestamp: Timestamp, limit: Int, byteLimit: Int
    ) throws -> Page

    /// The newest version of each key of a span, deletions included, if it lies above `since`, in key order, in pages
    /// as those of `scan`.
    func newest(in span: KeySpan, since: Timestamp, limit: Int, byteLimit: Int) throws -> Page

    /// The newest timestamp, deletions included, that a version in the span has. `nil` when it has none.
    func latestTimestamp(in span: KeySpan) throws -> Timestamp?

    /// Below it, versions of the range may be gone: what was read before this was asked, as of a time at or above it,
    /// was all there.
    func threshold(of range: RangeID) throws -> Timestamp

    /// The timestamp and index at which this request was applied in this range, if it was and is still remembered.
    func outcome(of request: RequestID, in range: RangeID) throws -> AppliedRequest?
}

extension StateReader {
    package func read(_ keys: [Key], at timestamp: Timestamp) throws -> [Version?] {
        try keys.map { try read($0, at: timestamp) }
    }
}

/// What is remembered of an applied commit, so that asking again returns the first outcome.
package struct AppliedRequest: Hashable, Sendable {
    package var timestamp: Timestamp
    package var index: LogIndex

    package init(timestamp: Timestamp, index: LogIndex) {
        self.timestamp = timestamp
        self.index = index
    }
}

/// Reads a range's versions and remembered requests for a snapshot, in resumable chunks.
package protocol SnapshotReader: AnyObject, Sendable {
    /// What the snapshot contains.
    var state: AppliedState { get }
    /// The chunk at `offset` (counted in chunks from 0) of about `byteLimit` bytes, or `nil` past the end.
    /// Asking for the same offset again returns the same bytes.
    func chunk(at offset: Int, byteLimit: Int) throws -> SnapshotChunk?
    func close()
}

package struct SnapshotChunk: Hashable, Sendable {
    package var offset: Int
    package var bytes: [UInt8]
    package var isLast: Bool
    /// CRC-32C of `bytes`.
    package var checksum: UInt32

    package init(offset: Int, bytes: [UInt8], isLast: Bool, checksum: UInt32) {
        self.offset = offset
        self.bytes = bytes
        self.isLast = isLast
        self.checksum = checksum
    }
}

/// Receives a snapshot.
package protocol SnapshotWriter: AnyObject, Sendable {
    /// The offset of the chunk that is wanted next; a sender resumes there.
    var nextOffset: Int { get }
    /// - Throws: `MeridianError` with `.corruption` when the checksum does not hold; the chunk is wanted again.
    func append(_ chunk: SnapshotChunk) throws
    /// Replaces the range's versions and applied state, durably and all at once; or changes nothing where that would
    /// take applied rows back, as for a snapshot that waited while newer entries were applied, or that came twice.
    func commit() throws -> SnapshotInstallation
    /// Forgets what was received.
    func cancel()
}

/// What became of a snapshot that was received.
package enum SnapshotInstallation: Hashable, Sendable {
    case installed
    /// The range had been applied at least as far already, up to here. Nothing was changed.
    case passed(LogPosition)
}

extension LogPosition {
    /// Whether a snapshot at this position holds nothing that a replica has not which is applied up to `applied`: of a
    /// range's generations only the latest counts, and in one generation all replicas apply the same log.
    package func isPassed(by applied: LogPosition) -> Bool {
        (term.generation, index) <= (applied.term.generation, applied.index)
    }
}
