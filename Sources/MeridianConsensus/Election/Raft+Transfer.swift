import MeridianCore

/// Handing the leadership over (thesis §3.10).
///
/// From the moment it begins no lease is asked for and none is valid here. When the target has the whole log it gets
/// TimeoutNow and campaigns at once, past all promises, which were made to the leader that now asks for it. They are
/// not taken back: should the handover fail, whoever is elected otherwise still waits for them.
///
/// Left the paper: TimeoutNow carries a floor for timestamps. And an order to campaign cannot be recalled: it may
/// arrive long after the transfer was given up, and the new leader would not have waited for any lease. So a leader
/// that sent one has no leases for the rest of its term, and ends that term itself when it gives up: it campaigns for
/// the next one in the target's place, after which the late order is of an old term. (A leader that gives up before
/// the order is sent just goes on.)
extension Raft {
    mutating func transferLeadership(to target: NodeID, at now: Moment) {
        guard role == .leader, target != configuration.node, membership[target]?.role == .voter,
            !lead.progress.isRecovering(target)
        else { return }
        if let transfer = lead.transfer, transfer.isSent || transfer.target == target { return }
        let deadline = now.instant.advanced(byNanoseconds: configuration.electionTimeoutNanoseconds)
        lead.transfer = Leadership.Transfer(target: target, deadline: deadline)
        advanceTransfer()
    }

    /// Sends TimeoutNow as soon as the target has everything.
    mutating func advanceTransfer() {
        guard let transfer = lead.transfer, !transfer.isSent else { return }
        guard lead.progress.match(transfer.target) == log.lastIndex, !lead.progress.isRecovering(transfer.target)
        else { return }
        lead.transfer?.isSent = true
        orderCampaign(transfer.target)
        // A read confirmed from now on could be served above the floor.
        rejectReads(leader: nil)
    }

    private mutating func orderCampaign(_ target: NodeID) {
        precondition(role == .leader, "a \(role) has no leadership to give")
        lead.areLeasesOver = true
        let floor = max(highestTimestamp, timestampFloor)
        send(.timeoutNow(.init(floor: floor)), to: target)
    }

    mutating func abortTransfer(at now: Moment) {
        guard let transfer = lead.transfer else { preconditionFailure("no transfer to give up in \(term)") }
        lead.transfer = nil
        // With proposals under way a new term would leave them unknown; then it goes on without leases.
        if transfer.isSent, configuration.leaseDurationNanoseconds > 0, isEligible, lead.proposals.isEmpty,
            lead.jointChange == nil
        {
            renewTerm(at: now)
        } else {
            leaveJointIfCommitted()
        }
    }

    /// A handover to itself: nobody holds a lease of this term, and nobody can get one any more.
    private mutating func renewTerm(at now: Moment) {
        precondition(lead.areLeasesOver, "leaving \(term) while it may hold a lease")
        let floor = max(highestTimestamp, timestampFloor)
        becomeFollower(term: term, leader: nil, at: now)
        handoverFloor = floor
        becomeCandidate(isTransfer: true, at: now)
    }

    /// A leader whose removal or demotion is committed: everybody has been told, the best successor campaigns.
    ///
    /// What was proposed while the change was on its way is in nobody else's log yet. So it stays for a moment, takes
    /// nothing more, and has no lease; otherwise nobody could be told to campaign under load, and writes would wait for
    /// an election timeout.
    mutating func resign(at now: Moment) {
        precondition(!membership.canCampaign(configuration.node), "\(configuration.node) resigns without need")
        let successors = membership.members.filter { $0.role == .voter && !lead.progress.isRecovering($0.node) }
        let best = successors.max { lead.progress.match($0.node) < lead.progress.match($1.node) }
        let deadline =
            lead.resignDeadline ?? now.instant.advanced(byNanoseconds: configuration.electionTimeoutNanoseconds)
        lead.resignDeadline = deadline
        if let best, lead.progress.match(best.node) == log.lastIndex {
            orderCampaign(best.node)
        } else if best != nil, now.instant < deadline {
            return
        }
        becomeFollower(term: term, leader: nil, at: now)
    }

    mutating func receive(_ order: RaftMessage.TimeoutNow, _ message: RaftMessage, at now: Moment) {
        precondition(message.term == term, "ordered to campaign in \(message.term) while in \(term)")
        guard role == .follower, canCampaign(at: now) else { return }
        handoverFloor = order.floor
        becomeCandidate(isTransfer: true, at: now)
    }
}
