import DequeModule
import MeridianCore

/// Heartbeats (Raft §5.2) and quiescence.
///
/// Heartbeats are messages of their own, not empty appends, so that the host can send those of many groups to a node
/// as one, and so that they pass appends that wait for a disk. They say how far the follower is known to agree, they
/// carry leases and ReadIndex rounds, and their answers restart a stalled stream.
///
/// Quiescence (CockroachDB's idle ranges): when everybody has everything and nothing was asked for a while, the
/// leader says so and falls silent, and so do the timers. It is not part of Raft's safety: a quiescent group is one
/// in which nobody's timer happens to fire. Its leases run out and are asked for again after waking.
///
/// HAZARD: nobody in a quiescent group notices that its leader is gone. Whoever needs the group wakes it, and the
/// host wakes it when it sees the leader's node die.
extension Raft {
    mutating func sendHeartbeats(quiesce: Bool, at now: Moment) {
        precondition(role == .leader, "a \(role) sends no heartbeats")
        let lease = quiesce ? nil : askForLease(at: now)
        let round = lead.reads.isEmpty ? 0 : lead.readRound
        for slot in lead.progress.members.indices where lead.progress[slot].node != configuration.node {
            let commit = min(commitIndex, lead.progress[slot].match)
            let heartbeat = RaftMessage.Heartbeat(
                commit: Planted.isOn(.heartbeatCommitsBlindly) ? commitIndex : commit,
                incarnation: lead.progress[slot].incarnation ?? .first, lease: lease, readRound: round,
                quiesce: quiesce)
            lead.progress[slot].heartbeat()
            lead.progress[slot].commitSent = max(lead.progress[slot].commitSent, commit)
            send(.heartbeat(heartbeat), to: lead.progress[slot].node)
        }
        lead.isHeartbeatDue = false
        lead.heartbeatDeadline = now.instant.advanced(byNanoseconds: configuration.heartbeatIntervalNanoseconds)
    }

    mutating func receive(_ reply: RaftMessage.HeartbeatReply, _ message: RaftMessage, at now: Moment) {
        guard role == .leader, let slot = heard(from: message.from, reply.life, lease: reply.lease, at: now)
        else { return }
        switch lead.progress[slot].state {
        case .probe:
            lead.progress[slot].isPaused = false
        case .replicate:
            // It lives, but did not acknowledge what was sent an interval ago.
            if lead.progress[slot].isStalled { lead.progress[slot].needsNudge = true }
        case .snapshot:
            break
        }
        precondition(
            reply.readRound <= lead.readRound, "\(message.from) answers round \(reply.readRound) of \(lead.readRound)")
        if reply.readRound > lead.progress[slot].readRound, !reply.life.isRecovering {
            lead.progress[slot].readRound = reply.readRound
            confirmReads()
        }
    }

    /// Whether a leader may fall silent: everybody has and knows everything, and nobody waits.
    private func isIdle(at now: Moment) -> Bool {
        guard configuration.quiesceAfterNanoseconds > 0, hasCommittedInTerm, commitIndex == log.lastIndex,
            now.instant.nanoseconds(since: lead.lastActivity) >= configuration.quiesceAfterNanoseconds,
            lead.newReads.isEmpty, lead.reads.isEmpty, lead.transfer == nil, !lead.isResigning, !membership.isJoint,
            log.isFullyPersisted, waiting.isEmpty
        else { return false }
        return lead.progress.members.allSatisfy { member in
            member.node == configuration.node || (member.match == log.lastIndex && !member.isRecovering)
        }
    }

    mutating func quiesceIfIdle(at now: Moment) -> Bool {
        guard isIdle(at: now) else { return false }
        sendHeartbeats(quiesce: true, at: now)
        isQuiescent = true
        return true
    }

    /// Whether a follower may stop its timer with its leader at `commit`.
    func canQuiesce(at commit: LogIndex) -> Bool {
        !isRecovering && commit == log.lastIndex && commit == commitIndex && log.isFullyPersisted && isHardStateDurable
            && waiting.isEmpty
    }

    /// Leaves quiescence, or notes that there is something to do.
    mutating func wake(at now: Moment) {
        if role == .leader { lead.lastActivity = now.instant }
        guard isQuiescent else { return }
        isQuiescent = false
        if role == .leader {
            // The silence was agreed on: it counts against nobody.
            lead.progress.touchAll(at: now.instant)
            lead.isHeartbeatDue = true
            lead.heartbeatDeadline = now.instant
        } else {
            // The leader gets the time to show that it lives before anybody is helped to depose it.
            lastLeaderContact = now.instant
            resetElectionTimer(at: now)
        }
    }

    /// Whether a message is a reason to wake. A leader that gets a vote request from a member wakes to show that it
    /// lives: somebody missed that the group fell silent. Whoever was removed wakes nobody.
    func ends(quiescenceFor message: RaftMessage) -> Bool {
        switch message.body {
        case .requestVote(let request):
            request.isTransfer || membership[message.from] != nil
                || membership.outgoing.contains { $0.node == message.from }
        case .recoveryCall:
            membership[message.from] != nil || membership.outgoing.contains { $0.node == message.from }
        case .append, .timeoutNow:
            message.term >= term
        case .heartbeat(let heartbeat):
            message.term >= term && !heartbeat.quiesce
        case .appendReply(let reply):
            if case .rejected = reply.result { message.term == term } else { false }
        case .heartbeatReply, .vote:
            false
        }
    }
}
