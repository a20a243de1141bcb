import MeridianCore

/// What time alone brings about.
extension Raft {
    /// When the next `tick` is due; `nil` while the group is quiescent, and for replicas that never campaign and have
    /// no recovery to call for.
    package var nextDeadline: Instant? {
        var raft = self
        return raft.nextTick()
    }

    /// `nextDeadline` of a value that stays where it is: a getter would be given a copy, and a `Raft` is large.
    package mutating func nextTick() -> Instant? {
        guard !isQuiescent else { return nil }
        guard role == .leader else {
            return isEligible || isRecovering ? electionDeadline : nil
        }
        var deadline = min(lead.heartbeatDeadline, quorumDeadline)
        if let transfer = lead.transfer { deadline = min(deadline, transfer.deadline) }
        if let resignation = lead.resignDeadline { deadline = min(deadline, resignation) }
        if let since = log.oldestPendingSince, !isDiskFull { deadline = min(deadline, diskDeadline(since)) }
        return deadline
    }

    mutating func tick(at now: Moment) {
        guard !isQuiescent else { return }
        guard role == .leader else {
            if now.instant >= electionDeadline { electionTimedOut(at: now) }
            return
        }
        checkLeadership(at: now)
        guard role == .leader else { return }
        if let transfer = lead.transfer, now.instant >= transfer.deadline {
            abortTransfer(at: now)
            guard role == .leader else { return }
        }
        if quiesceIfIdle(at: now) { return }
        if now.instant >= lead.heartbeatDeadline { lead.isHeartbeatDue = true }
    }

    /// Check-quorum (thesis §6.2), and the same question asked of the own disk.
    ///
    /// Asked before anything is sent, so that neither a leader that hears from no quorum nor one whose disk is dead
    /// asks for another lease.
    mutating func checkLeadership(at now: Moment) {
        precondition(role == .leader, "a \(role) has no leadership to check")
        guard !isQuiescent else { return }
        if now.instant >= quorumDeadline || (isDiskStuck(at: now) && !isDiskFull) {
            becomeFollower(term: term, leader: nil, at: now)
        }
    }

    /// When this leader has not heard from a quorum for an election timeout.
    private var quorumDeadline: Instant {
        let floor = Instant(rawValue: .min)
        let heard = quorum.highestReached(floor: floor) { node in
            node == configuration.node ? .distantFuture : lead.progress.lastContact(node)
        }
        return heard.advanced(byNanoseconds: configuration.electionTimeoutNanoseconds)
    }

    private func diskDeadline(_ since: Instant) -> Instant {
        since.advanced(byNanoseconds: configuration.electionTimeoutNanoseconds)
    }

    /// Whether a write has been under way for longer than an election timeout: a leader would hold a group up with
    /// its heartbeats although it can no longer serve it (hashicorp/raft #503).
    func isDiskStuck(at now: Moment) -> Bool {
        log.oldestPendingSince.map { now.instant >= diskDeadline($0) } ?? false
    }
}
