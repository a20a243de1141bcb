import MeridianCore

/// Where effects go out: one write, and for each peer one run of messages, for all inputs since the last time.
extension Raft {
    /// Hands over the effects of all inputs since the last flush.
    package mutating func flush(at now: Moment) -> RaftOutput {
        prepareFlush(at: now) ? takeOutput() : RaftOutput()
    }

    /// The work of a flush.
    /// - Returns: whether there is something for `takeOutput` to hand over. Mostly there is not, and outputs are large.
    package mutating func prepareFlush(at now: Moment) -> Bool {
        observe(now)
        endRecoveryIfReadmitted(at: now)
        if role == .leader { checkLeadership(at: now) }
        if role == .leader { startReadRound() }
        // The job comes first: its entries are mostly what the followers get as well, and the copy is shared.
        var copied = EntryCopy()
        makePersistJob(at: now, copied: &copied)
        if role == .leader {
            sendAppends(at: now, copied: &copied)
            if lead.isHeartbeatDue { sendHeartbeats(quiesce: false, at: now) }
            if lead.isResigning { resign(at: now) }
        }
        handOutCommitted()
        return !effects.isEmpty
    }

    /// What `prepareFlush` has gathered.
    package mutating func takeOutput() -> RaftOutput {
        var output = RaftOutput()
        swap(&output, &effects)
        return output
    }

    /// A copy of some entries that several receivers can share.
    struct EntryCopy {
        var first: LogIndex = .zero
        var last: LogIndex = .zero
        var entries: [Entry] = []

        mutating func slice(_ log: RaftLog, from first: LogIndex, through last: LogIndex) -> [Entry] {
            if first == self.first, last == self.last { return entries }
            self.first = first
            self.last = last
            entries = log.slice(from: first, through: last)
            return entries
        }
    }

    private mutating func makePersistJob(at now: Moment, copied: inout EntryCopy) {
        guard isHardStateDirty || log.hasUnscheduled || (!waiting.isEmpty && !log.isFullyPersisted) else {
            guard !waiting.isEmpty else { return }
            effects.messages.append(contentsOf: waiting)
            waiting.removeAll(keepingCapacity: true)
            return
        }
        lastToken = PersistToken(rawValue: lastToken.rawValue + 1)
        var job = PersistJob(token: lastToken)
        let first = log.scheduled.next
        let write = log.schedule(lastToken, at: now.instant)
        job.reset = write.reset
        job.entries = write.entries
        if !write.entries.isEmpty {
            copied = EntryCopy(first: first, last: log.lastIndex, entries: write.entries)
        }
        if isHardStateDirty || write.reset != nil {
            job.hardState = HardState(
                term: term, vote: vote, commit: commitIndex, incarnation: incarnation, isRecovering: isRecovering,
                floor: floor)
            if Planted.isOn(.voteForgotten) { job.hardState = nil }
            isHardStateDirty = false
            hardStateToken = lastToken
        }
        swap(&job.messagesAfter, &waiting)
        effects.persist = job
    }

    /// Committed entries go out once, in order, as soon as they are known to be committed: possibly before they are
    /// durable here, since a quorum holds them (the restart in `init` allows for it).
    private mutating func handOutCommitted() {
        guard commitIndex > handedOut else { return }
        precondition(handedOut >= log.base.index, "entries after \(handedOut) are compacted, but not handed out")
        effects.committed = log.slice(from: handedOut.next, through: commitIndex)
        handedOut = commitIndex
    }

    /// Whether term and vote in memory are what a restart would find.
    var isHardStateDurable: Bool { !isHardStateDirty && persistedToken >= hardStateToken }

    /// Sends an answer that claims something about this replica's disk, once the disk has it.
    mutating func sendWhenDurable(_ body: RaftMessage.Body, to node: NodeID) {
        if case .appendReply(let reply) = body, case .accepted(let index) = reply.result {
            if isHardStateDurable && log.persisted >= index || Planted.isOn(.acknowledgeBeforeSync) {
                send(body, to: node)
                return
            }
            if mergeAcknowledgement(index, reply, to: node) { return }
        }
        waiting.append(RaftMessage(from: configuration.node, to: node, term: term, body: body))
    }

    /// Acknowledgements are cumulative: of several that wait for one write, the last says it all.
    private mutating func mergeAcknowledgement(
        _ index: LogIndex, _ reply: RaftMessage.AppendReply, to node: NodeID
    ) -> Bool {
        guard let last = waiting.last, last.to == node, last.term == term, case .appendReply(let other) = last.body,
            case .accepted(let before) = other.result, other.life == reply.life
        else { return false }
        let farthest = [reply.lease, other.lease].compactMap { $0 }.max()
        waiting[waiting.count - 1].body = .appendReply(
            .init(result: .accepted(max(before, index)), lease: farthest, life: reply.life))
        return true
    }
}
