import DequeModule
import MeridianCore

/// The follower's side of AppendEntries and heartbeats (Raft §5.3).
extension Raft {
    mutating func receive(_ append: RaftMessage.Append, _ message: RaftMessage, at now: Moment) {
        follow(message.from, at: now)
        let lease = accept(append.lease, at: now)
        switch log.merge(append.entries, after: append.previous, commit: commitIndex) {
        case .mismatch(let hint):
            answer(.rejected(previous: append.previous.index, hint: hint), lease: lease, to: message.from)
            if Planted.isOn(.commitBeyondMatch) { commit(through: min(append.commit, log.lastIndex)) }
        case .merged(let last, let truncated, let firstAppended):
            if let truncated, history.truncate(from: truncated) { membershipChanged(at: now) }
            if let firstAppended, adoptMemberships(from: firstAppended) { membershipChanged(at: now) }
            if isRecovering { followReadmission(truncatedFrom: truncated, appendedFrom: firstAppended) }
            answer(.accepted(last), lease: lease, to: message.from)
            commit(through: min(append.commit, last))
        }
    }

    mutating func receive(_ heartbeat: RaftMessage.Heartbeat, _ message: RaftMessage, at now: Moment) {
        follow(message.from, at: now)
        let lease = accept(heartbeat.lease, at: now)
        // A heartbeat names only what this life of the replica acknowledged in this term, so its log agrees up to
        // there, or its disk forgot. What it says of an earlier life is not about this log.
        var agreed = heartbeat.incarnation == incarnation ? heartbeat.commit : .zero
        if agreed > log.lastIndex {
            // What is left of such a log need not be what the leader's log begins with.
            beginRecovery(at: now)
            agreed = .zero
        }
        commit(through: agreed)
        if heartbeat.quiesce, canQuiesce(at: agreed) {
            isQuiescent = true
            return
        }
        let reply = RaftMessage.Body.heartbeatReply(
            .init(lease: lease, readRound: heartbeat.readRound, life: life))
        // A promise made in a term that a restart would not remember could be forgotten with it.
        if lease == nil || isHardStateDurable {
            send(reply, to: message.from)
        } else {
            sendWhenDurable(reply, to: message.from)
        }
    }

    private mutating func answer(_ result: RaftMessage.AppendReply.Result, lease: Timestamp?, to node: NodeID) {
        let body = RaftMessage.Body.appendReply(.init(result: result, lease: lease, life: life))
        switch result {
        case .accepted: sendWhenDurable(body, to: node)
        case .rejected where lease != nil && !isHardStateDurable: sendWhenDurable(body, to: node)
        case .rejected: send(body, to: node)
        }
    }

    /// Word from the leader of this term.
    private mutating func follow(_ sender: NodeID, at now: Moment) {
        precondition(role != .leader, "\(configuration.node) and \(sender) both lead in \(term)")
        precondition(
            leader == nil || leader == sender, "\(leader!) and \(sender) both lead in \(term) for \(configuration.node)"
        )
        if role != .follower || leader != sender { becomeFollower(term: term, leader: sender, at: now) }
        lastLeaderContact = now.instant
        resetElectionTimer(at: now)
    }

    private mutating func accept(_ lease: Timestamp?, at now: Moment) -> Timestamp? {
        guard let lease, !isRecovering, promise.accept(lease, at: now) else { return nil }
        return lease
    }

    /// Everything up to `index` is committed.
    mutating func commit(through index: LogIndex) {
        guard index > commitIndex else { return }
        precondition(index <= log.lastIndex, "\(index) is committed, but the log ends at \(log.lastPosition)")
        commitIndex = index
    }
}
