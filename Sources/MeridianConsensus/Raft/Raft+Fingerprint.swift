import DequeModule
import MeridianCore

/// What an explorer of all orders (`MeridianSimulation/Explorer`) needs to tell states of a replica apart: everything
/// that its future depends on, in a form that is the same for states that can do the same.
///
/// - **Times are relative, and coarse.** An explorer lets every timer run out at any moment, so *when* it would have
///   run out does not matter. What is left of an instant is whether an election timeout has passed since: that is all
///   that an answer to a message can depend on (`isBound`, check-quorum, a stuck disk). Deadlines are left out.
/// - **Names are relative.** Persist tokens are counted back from the last one.
/// - **Chance is left out**: it draws election timeouts and nothing else.
///
/// Leases must be switched off (`leaseDurationNanoseconds` 0), since a promise is compared with a clock.
extension Raft {
    /// Feeds the replica into a hasher. The last flush's effects must have been taken.
    package func fingerprint(into hasher: inout Hasher, at now: Moment) {
        precondition(effects.isEmpty, "effects that nobody has taken are not part of a state")
        precondition(configuration.leaseDurationNanoseconds == 0, "a lease's times are not relative")
        hasher.combine(role)
        hasher.combine(term)
        hasher.combine(vote)
        hasher.combine(leader)
        hasher.combine(commitIndex)
        hasher.combine(appliedIndex)
        hasher.combine(handedOut)
        hasher.combine(isQuiescent)
        hasher.combine(isRecovering)
        hasher.combine(incarnation)
        hasher.combine(readmission)
        hasher.combine(isHardStateDirty)
        hasher.combine(lastToken.rawValue - hardStateToken.rawValue)
        hasher.combine(lastToken.rawValue - persistedToken.rawValue)
        hasher.combine(configuration.commitRule)
        hasher.combine(history)
        hasher.combine(waiting)
        hasher.combine(lastLeaderContact.map { isOver($0, at: now) })
        for ballot in ballots.sorted(by: { $0.node < $1.node }) {
            hasher.combine(ballot.node)
            hasher.combine(ballot.isGranted)
        }
        log.fingerprint(into: &hasher, last: lastToken) { isOver($0, at: now) }
        if role == .leader { lead.fingerprint(into: &hasher) { isOver($0, at: now) } }
    }

    private func isOver(_ instant: Instant, at now: Moment) -> Bool {
        now.instant.nanoseconds(since: instant) >= configuration.electionTimeoutNanoseconds
    }
}

extension RaftLog {
    fileprivate func fingerprint(into hasher: inout Hasher, last token: PersistToken, isOver: (Instant) -> Bool) {
        hasher.combine(base)
        hasher.combine(entries.count)
        for entry in entries { hasher.combine(entry) }
        hasher.combine(scheduled)
        hasher.combine(persisted)
        hasher.combine(needsReset)
        hasher.combine(jobs.count)
        for job in jobs {
            hasher.combine(token.rawValue - job.token.rawValue)
            hasher.combine(job.claim)
            hasher.combine(isOver(job.since))
        }
    }
}

extension Leadership {
    fileprivate func fingerprint(into hasher: inout Hasher, isOver: (Instant) -> Bool) {
        for member in progress.members {
            hasher.combine(isOver(member.lastContact))
            var timeless = member
            timeless.lastContact = .zero
            hasher.combine(timeless)
        }
        hasher.combine(termStart)
        for readmission in readmissions {
            hasher.combine(readmission.node)
            hasher.combine(readmission.incarnation)
            hasher.combine(readmission.index)
            hasher.combine(isOver(readmission.proposed))
        }
        for proposal in proposals {
            hasher.combine(proposal.index)
            hasher.combine(proposal.id)
        }
        hasher.combine(jointChange)
        hasher.combine(isHeartbeatDue)
        for read in reads {
            hasher.combine(read.id)
            hasher.combine(readRound - read.round)
            hasher.combine(read.index)
        }
        hasher.combine(newReads)
        hasher.combine(transfer?.target)
        hasher.combine(transfer?.isSent)
        hasher.combine(areLeasesOver)
        hasher.combine(isResigning)
    }
}
