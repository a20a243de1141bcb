import DequeModule
import MeridianCore

/// The leader's side of AppendEntries (Raft §5.3): probing, pipelining and flow control.
///
/// Nothing is sent while inputs come in; `flush` looks at each follower once and sends what its window allows, so
/// that a batch of proposals is one message, and a backlog is as many as the limits require.
extension Raft {
    mutating func sendAppends(at now: Moment, copied: inout EntryCopy) {
        precondition(role == .leader, "a \(role) sends no appends")
        for slot in lead.progress.members.indices where lead.progress[slot].node != configuration.node {
            sendAppends(toSlot: slot, at: now, copied: &copied)
        }
    }

    private mutating func sendAppends(toSlot slot: Int, at now: Moment, copied: inout EntryCopy) {
        // Whoever was told to campaign is in the next term before this arrives.
        if let transfer = lead.transfer, transfer.isSent, transfer.target == lead.progress[slot].node { return }
        switch lead.progress[slot].state {
        case .snapshot:
            return
        case .probe:
            let limit = limit(ofSlot: slot)
            guard !lead.progress[slot].isPaused, lead.progress[slot].match < limit else { return }
            guard reachesBack(toSlot: slot) else { return }
            if lead.progress[slot].next > limit {
                sendEmptyAppend(toSlot: slot, at: now)
                lead.progress[slot].isPaused = true
            } else {
                sendEntries(toSlot: slot, at: now, copied: &copied)
            }
        case .replicate:
            guard reachesBack(toSlot: slot) else { return }
            var isNews = false
            let limit = limit(ofSlot: slot)
            while lead.progress[slot].next <= limit, !lead.progress[slot].inflights.isFull {
                sendEntries(toSlot: slot, at: now, copied: &copied)
                isNews = true
            }
            // Nothing else will carry the new commit index before the next heartbeat.
            let isIdle = lead.progress[slot].inflights.isEmpty
            let commit = min(commitIndex, lead.progress[slot].match)
            if !isNews,
                lead.progress[slot].needsNudge
                    || (isIdle && configuration.announcesCommits && lead.progress[slot].commitSent < commit)
            {
                sendEmptyAppend(toSlot: slot, at: now)
            }
            lead.progress[slot].needsNudge = false
        }
    }

    /// How far the follower may be sent the log. Others get entries before they are durable here (thesis §10.2.1). A
    /// witness gets only what a member that can campaign holds durably: an entry that the witness alone remembers
    /// would make it refuse every candidate there is.
    ///
    /// Mutating, so that the value stays where it is: it is asked for with every flush, and a `Raft` is large.
    private mutating func limit(ofSlot slot: Int) -> LogIndex {
        guard lead.progress[slot].isWitness else { return log.lastIndex }
        if membership.canCampaign(configuration.node) { return log.persisted }
        let candidates = membership.members.filter { $0.role == .voter }
        return candidates.map { lead.progress.counted($0.node) }.max() ?? .zero
    }

    /// Whether the log still has what the follower needs; if not, a snapshot is asked for.
    private mutating func reachesBack(toSlot slot: Int) -> Bool {
        guard lead.progress[slot].next < log.firstIndex else { return true }
        lead.progress[slot].becomeSnapshot()
        if !lead.progress[slot].isSnapshotOutstanding {
            lead.progress[slot].isSnapshotOutstanding = true
            effects.snapshotsWanted.append(lead.progress[slot].node)
        }
        return false
    }

    private mutating func sendEntries(toSlot slot: Int, at now: Moment, copied: inout EntryCopy) {
        let first = lead.progress[slot].next
        let end = log.end(
            of: first, maximumEntries: configuration.maximumEntriesPerMessage,
            maximumBytes: configuration.maximumBytesPerMessage)
        let last = min(end, limit(ofSlot: slot))
        var entries = copied.slice(log, from: first, through: last)
        var size = log.byteCount(after: first.previous, through: last)
        if lead.progress[slot].isWitness {
            entries = entries.map(\.withoutCommand)
            size = entries.reduce(0) { $0 + $1.byteCount }
        }
        sendAppend(toSlot: slot, entries: entries, last: last, at: now)
        lead.progress[slot].sent(last: last, byteCount: size)
    }

    /// Carries the commit index, or asks where the follower's log ends.
    private mutating func sendEmptyAppend(toSlot slot: Int, at now: Moment) {
        sendAppend(toSlot: slot, entries: [], last: lead.progress[slot].next.previous, at: now)
    }

    private mutating func sendAppend(toSlot slot: Int, entries: [Entry], last: LogIndex, at now: Moment) {
        let previous = lead.progress[slot].next.previous
        guard let previousTerm = log.term(at: previous) else {
            preconditionFailure("appending after \(previous), but the log is \(log.base) to \(log.lastPosition)")
        }
        let append = RaftMessage.Append(
            previous: LogPosition(term: previousTerm, index: previous), entries: entries, commit: commitIndex,
            lease: askForLease(at: now))
        lead.progress[slot].commitSent = max(lead.progress[slot].commitSent, min(commitIndex, last))
        send(.append(append), to: lead.progress[slot].node)
    }

    mutating func receive(_ reply: RaftMessage.AppendReply, _ message: RaftMessage, at now: Moment) {
        guard role == .leader, let slot = heard(from: message.from, reply.life, lease: reply.lease, at: now)
        else { return }
        switch reply.result {
        case .accepted(let index):
            precondition(
                index <= log.lastIndex, "\(message.from) acknowledges \(index); the log ends at \(log.lastPosition)")
            let copied = Planted.isOn(.matchBeyondAcknowledgement) ? log.lastIndex : index
            var isNews = lead.progress[slot].acknowledge(copied)
            if !reply.life.isRecovering, lead.progress[slot].count(copied) { isNews = true }
            switch lead.progress[slot].state {
            case .probe where index >= lead.progress[slot].match:
                lead.progress[slot].becomeReplicate()
            case .snapshot where lead.progress[slot].match >= log.base.index:
                lead.progress[slot].becomeReplicate()
            case .probe, .snapshot, .replicate:
                break
            }
            guard isNews else { return }
            advanceCommit()
            advanceTransfer()
        case .rejected(let previous, let hint):
            _ = lead.progress[slot].reject(previous: previous, candidate: agreement(with: hint))
        }
    }

    /// The last index at which this log can agree with one whose entry at `hint.index` has the term `hint.term`:
    /// one answer skips all entries of later terms (Raft §5.3, "one AppendEntries per term").
    private func agreement(with hint: LogPosition) -> LogIndex {
        guard hint.index >= log.base.index else { return hint.index }
        let position = log.lastPosition(atOrBelow: hint.index, termAtMost: hint.term)
        // Not even the base agrees: only a snapshot helps.
        if position.term > hint.term { return log.base.index == .zero ? .zero : log.base.index.previous }
        return position.index
    }

    /// Notes that a life of a member answered in this term.
    mutating func heard(from node: NodeID, _ life: RaftMessage.Life, lease: Timestamp?, at now: Moment) -> Int? {
        guard let slot = lead.progress.slot(of: node) else { return nil }
        lead.progress[slot].heard(life)
        guard !life.isRecovering else {
            readmitIfNeeded(node, life.incarnation, at: now)
            return slot
        }
        lead.progress[slot].lastContact = now.instant
        if let lease { lead.progress[slot].lease = max(lead.progress[slot].lease ?? lease, lease) }
        return slot
    }

    mutating func unreachable(_ node: NodeID) {
        guard role == .leader, let slot = lead.progress.slot(of: node) else { return }
        if lead.progress[slot].state == .replicate { lead.progress[slot].becomeProbe() }
    }
}

extension Entry {
    /// What a witness keeps: where the entry stands, and who the members are, but no rows.
    fileprivate var withoutCommand: Entry {
        if case .command = payload { return Entry(term: term, index: index, payload: .empty) }
        return self
    }
}
