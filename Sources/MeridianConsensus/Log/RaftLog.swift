import DequeModule
import MeridianCore

/// The part of a group's log that is held in memory: everything after `base`.
///
/// Promises: entries are contiguous and their terms do not fall; `position(at:)` and the sizes of any span cost the
/// same however long the log is; appending and cutting never copy what stays.
/// Leaves to others: deciding what may be truncated (never a committed entry) and writing to the disk. What has been
/// handed to the disk and what is durable is tracked in `RaftLog+Persistence.swift`.
///
/// Invariants:
/// - `entries[i].index == base.index + 1 + i`
/// - `ends.count == entries.count`; `ends[i]` is the size of everything ever appended up to entry `i`, so that a
///   span's size is one subtraction
/// - `persisted <= scheduled <= lastPosition.index`, except that a reset lowers `persisted` below `base` until it
///   is durable
package struct RaftLog: Sendable {
    /// The position before the first entry: what was compacted, or came as a snapshot.
    package internal(set) var base: LogPosition
    internal var entries: Deque<Entry> = []
    internal var ends: Deque<Int> = []
    internal var origin = 0

    /// Entries up to here have been put into a `PersistJob`.
    package internal(set) var scheduled: LogIndex
    /// Entries up to here are durable on this replica's own disk.
    package internal(set) var persisted: LogIndex
    /// The log must start again after `base` on the disk, and no job says so yet.
    package internal(set) var needsReset = false
    internal var jobs: Deque<PendingJob> = []

    /// A job that was handed out and is not yet durable.
    internal struct PendingJob: Sendable {
        var token: PersistToken
        /// How far the log will be durable when the job is. A truncation lowers it: what a job wrote of entries that
        /// have been overwritten since is no longer part of this log.
        var claim: LogIndex
        var since: Instant
    }

    /// A log that is durable as given.
    package init(base: LogPosition, entries stored: [Entry]) {
        self.base = base
        self.scheduled = base.index
        self.persisted = base.index
        append(contentsOf: stored[...])
        self.scheduled = lastPosition.index
        self.persisted = lastPosition.index
    }

    package var count: Int { entries.count }
    package var lastPosition: LogPosition { entries.last?.position ?? base }
    package var lastIndex: LogIndex { LogIndex(base.index.rawValue + UInt64(entries.count)) }
    package var firstIndex: LogIndex { base.index.next }

    internal func offset(of index: LogIndex) -> Int {
        precondition(index > base.index, "entry \(index) is compacted; the log starts after \(base)")
        precondition(index <= lastIndex, "entry \(index) is beyond the log's end \(lastPosition)")
        return Int(index.rawValue - base.index.rawValue - 1)
    }

    package subscript(index: LogIndex) -> Entry { entries[offset(of: index)] }

    /// The term of an entry, or of the base; `nil` where the log does not reach.
    package func term(at index: LogIndex) -> Term? {
        if index == base.index { return base.term }
        guard index > base.index, index <= lastIndex else { return nil }
        return entries[offset(of: index)].term
    }

    /// Whether this log holds the position, and with it the same log up to there (Log Matching, Raft §5.3).
    package func matches(_ position: LogPosition) -> Bool { term(at: position.index) == position.term }

    /// The last position at or below `index` whose term is at most `term`: where a log whose entry there has that
    /// term can still agree with this one. Never below the base. Terms do not fall along a log, so it is a search.
    package func lastPosition(atOrBelow index: LogIndex, termAtMost term: Term) -> LogPosition {
        let last = min(index, lastIndex)
        guard last > base.index else { return base }
        var low = 0
        var high = offset(of: last) + 1
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].term <= term { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? base : entries[low - 1].position
    }

    /// The bytes of the entries after `lower` up to and including `upper`.
    package func byteCount(after lower: LogIndex, through upper: LogIndex) -> Int {
        guard upper > lower else { return 0 }
        precondition(lower >= base.index, "the size after \(lower) is asked of a log that starts after \(base)")
        let end = ends[offset(of: upper)]
        return end - (lower == base.index ? origin : ends[offset(of: lower)])
    }

    /// Where a message that starts with `first` must end to respect both limits; at least one entry is in it.
    package func end(of first: LogIndex, maximumEntries: Int, maximumBytes: Int) -> LogIndex {
        let start = offset(of: first)
        let sizeBefore = start == 0 ? origin : ends[start - 1]
        var low = start + 1
        var high = min(entries.count, start + max(1, maximumEntries))
        while low < high {
            let middle = (low + high + 1) / 2
            if ends[middle - 1] - sizeBefore <= maximumBytes { low = middle } else { high = middle - 1 }
        }
        return LogIndex(base.index.rawValue + UInt64(low))
    }

    /// A copy of the entries from `first` through `last`; empty when `last` lies before `first`.
    package func slice(from first: LogIndex, through last: LogIndex) -> [Entry] {
        guard last >= first else { return [] }
        let start = offset(of: first)
        let end = offset(of: last)
        return Array(unsafeUninitializedCapacity: end - start + 1) { buffer, count in
            for position in start...end {
                (buffer.baseAddress! + count).initialize(to: entries[position])
                count += 1
            }
        }
    }
}
