import DequeModule
import MeridianCore

/// How the log grows, is corrected and is cut (Raft §5.3, §7).
extension RaftLog {
    /// Appends one entry at the end.
    package mutating func append(_ entry: Entry) { append(entry, byteCount: entry.byteCount) }

    /// Appends an entry whose size the caller has already summed up.
    package mutating func append(_ entry: Entry, byteCount: Int) {
        precondition(entry.index == lastIndex.next, "entry \(entry.position) does not follow \(lastPosition)")
        precondition(entry.term >= lastPosition.term, "entry \(entry.position) has a term below \(lastPosition)")
        ends.append((ends.last ?? origin) + byteCount)
        entries.append(entry)
    }

    package mutating func append(contentsOf new: ArraySlice<Entry>) {
        for entry in new { append(entry) }
    }

    /// What came of an AppendEntries.
    package enum MergeResult: Hashable, Sendable {
        /// The log now agrees with the message up to its last entry.
        /// - `truncatedFrom`: the first index that was overwritten, if any.
        /// - `firstAppended`: where the added entries begin, if any were.
        case merged(last: LogIndex, truncatedFrom: LogIndex?, firstAppended: LogIndex?)
        /// The log does not hold `previous`. `hint` is the last position at which the logs can agree.
        case mismatch(hint: LogPosition)
    }

    /// Takes in the entries that follow `previous`: what is there already stays, from the first conflict on the
    /// leader's entries replace ours (Raft figure 2, AppendEntries 2 to 4).
    ///
    /// Entries up to `commit` are known to agree with every leader's, so a message that reaches back behind it, or
    /// behind the base, is read from there on.
    package mutating func merge(_ new: [Entry], after previous: LogPosition, commit: LogIndex) -> MergeResult {
        precondition(commit >= base.index, "commit \(commit) lies below the base \(base)")
        var remaining = new[...]
        var previous = previous
        if previous.index < commit {
            // The committed prefix agrees with every leader's log; skip what the message repeats of it.
            remaining = remaining.drop { $0.index <= commit }
            let covered = new.last?.index ?? previous.index
            if covered <= commit { return .merged(last: commit, truncatedFrom: nil, firstAppended: nil) }
            previous = LogPosition(term: term(at: commit)!, index: commit)
        }
        let isBlind = Planted.isOn(.appendWithoutMatch) && previous.index <= lastIndex
        guard matches(previous) || isBlind else {
            let known = min(previous.index, lastIndex)
            let hint = lastPosition(atOrBelow: known, termAtMost: previous.term)
            let committed = LogPosition(term: term(at: commit)!, index: commit)
            return .mismatch(hint: hint.index < commit ? committed : hint)
        }
        let last = remaining.last?.index ?? previous.index
        var expected = previous.index
        for position in remaining.indices {
            let entry = remaining[position]
            expected = expected.next
            precondition(entry.index == expected, "message is not contiguous: \(entry.position) at \(expected)")
            if matches(entry.position) { continue }
            if Planted.isOn(.conflictKept), entry.index <= lastIndex { continue }
            var truncated: LogIndex?
            if entry.index <= lastIndex {
                precondition(entry.index > commit, "leader overwrites \(entry.index), which is committed (\(commit))")
                truncate(from: entry.index)
                truncated = entry.index
            }
            append(contentsOf: remaining[position...])
            return .merged(last: last, truncatedFrom: truncated, firstAppended: entry.index)
        }
        return .merged(last: last, truncatedFrom: nil, firstAppended: nil)
    }

    /// Forgets the entries from `index` on, and every claim that they are durable.
    package mutating func truncate(from index: LogIndex) {
        precondition(index > base.index, "truncating from \(index) would pass the base \(base)")
        precondition(index <= lastIndex, "nothing to truncate from \(index); the log ends at \(lastPosition)")
        let kept = offset(of: index)
        entries.removeLast(entries.count - kept)
        ends.removeLast(ends.count - kept)
        let last = index.previous
        scheduled = min(scheduled, last)
        persisted = min(persisted, last)
        for job in jobs.indices { jobs[job].claim = min(jobs[job].claim, last) }
    }

    /// Forgets the entries up to and including `index`, which the state machine holds durably.
    package mutating func compact(through index: LogIndex) {
        guard index > base.index else { return }
        precondition(index <= scheduled, "compacting \(index), which was not yet given to the disk (\(scheduled))")
        let removed = offset(of: index) + 1
        base = entries[removed - 1].position
        origin = ends[removed - 1]
        entries.removeFirst(removed)
        ends.removeFirst(removed)
    }

    /// Starts the log again after a snapshot. Nothing in it is durable until the disk has done the same.
    package mutating func reset(to position: LogPosition) {
        precondition(position.index > .zero, "a log cannot start again at \(position)")
        entries.removeAll()
        ends.removeAll()
        origin = 0
        base = position
        scheduled = position.index
        persisted = .zero
        needsReset = true
        for job in jobs.indices { jobs[job].claim = .zero }
    }
}
