import DequeModule
import MeridianCore

/// Leases: reads that ask nobody (DESIGN §5).
///
/// The leader asks, with every append and heartbeat, that its followers elect nobody else until a time `P` on
/// *their* clocks (`LeasePromise`), and it uses the lease only while `P` lies ahead of the whole interval of its
/// own. Sketch of the proof that at any true time `t` there is at most one lease in use: the holder has
/// `t <= latest < P`; a quorum promised `P`; any other leader of a later term was voted for by somebody of that
/// quorum, who had `P < earliest <= t'` at the true time `t'` of the vote. So `t < P < t'`: the other leader was
/// elected after the lease had ended. docs/internals/consensus.md has the rest: restarts, transfers, members.
extension Raft {
    /// Up to when this leader may serve reads without asking: the farthest time until which a quorum (in joint
    /// consensus both) has promised not to elect another. `nil` before an entry of its own term is committed, while it
    /// hands over, and for whoever does not lead. Valid for a reader whose `latest` lies below it.
    package var leaseExpiration: Timestamp? {
        guard hasCommittedInTerm, mayHoldLease else { return nil }
        let floor = Timestamp(rawValue: .min)
        let promised = quorum.highestReached(floor: floor) { node in lead.progress.lease(node) }
        return promised > floor ? promised : nil
    }

    /// Not with a clock that others contradict, nor while it hands over, and never again in a term in which it ordered
    /// somebody to campaign.
    private var mayHoldLease: Bool {
        guard isClockTrusted else { return false }
        if Planted.isOn(.leaseDuringTransfer) { return configuration.leaseDurationNanoseconds > 0 }
        return configuration.leaseDurationNanoseconds > 0 && lead.transfer == nil && !lead.areLeasesOver
            && !lead.isResigning
    }

    /// Asks for a lease on a way of the host's own, for a quiescent group. The answers come back by `noteLease`.
    package mutating func renewLease(at now: Moment) -> Timestamp? { askForLease(at: now) }

    /// A follower's side of that.
    /// - Returns: whether the promise was made, to this leader in this term.
    package mutating func acceptLease(
        _ lease: Timestamp, of leader: NodeID, in term: Term, at now: Moment
    ) -> Bool {
        guard role == .follower, self.leader == leader, self.term == term, !isRecovering, isHardStateDurable else {
            return false
        }
        return promise.accept(lease, at: now)
    }

    /// A follower has made the promise.
    package mutating func noteLease(_ lease: Timestamp, of node: NodeID, in term: Term) {
        guard role == .leader, self.term == term, let slot = lead.progress.slot(of: node),
            !lead.progress.isRecovering(node)
        else { return }
        lead.progress[slot].lease = max(lead.progress[slot].lease ?? lease, lease)
    }

    /// The lease to ask for now. The leader makes the promise itself before it asks anybody.
    mutating func askForLease(at now: Moment) -> Timestamp? {
        guard role == .leader, mayHoldLease, now.clock.isKnown else { return nil }
        let lease = now.clock.earliest.advanced(byNanoseconds: configuration.leaseDurationNanoseconds)
        precondition(promise.accept(lease, at: now), "a leader must accept its own lease \(lease) at \(now.clock)")
        if let slot = lead.progress.slot(of: configuration.node) {
            lead.progress[slot].lease = max(lead.progress[slot].lease ?? lease, lease)
        }
        return lease
    }
}
