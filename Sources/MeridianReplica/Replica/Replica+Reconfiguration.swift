import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// How a replica follows its range's descriptor when that changes while the range serves.
///
/// The catalog says which members a range should have and by which rule it should commit; the leader brings the group
/// there, step by step, by Raft's own changes of members. What is new comes in as learners first, gets the rows, and
/// votes when it has caught up; what should go goes in the same step in which the new vote, so the group never has
/// fewer copies than either configuration asks for. Reads and writes go on all the time.
///
/// Which rule counts in between? A commit that is acknowledged on the way must be worth what the old mode or the new
/// one promises. The old rule counts until the new members are in force and committed; unless the new rule asks for
/// less of the same members, and then it counts at once, since whoever weakens a mode may do so because the old one
/// cannot be met any more. Which of the two it is stands in the descriptor (`Transition.commitRule`), so every leader,
/// also one that was restarted on the way, decides alike.
extension Replica {
    /// The generation that this replica takes part in, or would, if it is sealed.
    package var generation: Generation { max(descriptor.generation, raft.term.generation) }

    /// Whether a message that was sent in a term concerns this replica. What comes from another generation is of a
    /// history that it has left, or has not been told of yet.
    func accepts(_ term: Term) -> Bool {
        term.generation == generation && !raft.isSealed && !lacksRecord && !isCrossed
    }

    /// Whether a snapshot of an earlier generation is still on its way to the rows. Who holds nothing else can be told
    /// of the next generation before it comes, and takes no part in that until it knows what it holds.
    private var isCrossed: Bool {
        guard let inFlight = snapshots.generation, !snapshots.isAtRest else { return false }
        return inFlight < generation
    }

    /// Whether it has what may be of a history that has ended, and waits for the record that says where that ended: the
    /// node was restarted, and its catalog is behind.
    private var lacksRecord: Bool {
        raft.term.generation > descriptor.generation && raft.lastPosition.index > .zero
            && raft.lastPosition.term.generation < raft.term.generation && !raft.isSealed
    }

    func accepts(_ message: RaftMessage) -> Bool {
        // Who calls for its readmission has forgotten its term.
        if case .recoveryCall = message.body { return !raft.isSealed }
        return accepts(message.term)
    }

    /// Whether this replica has left its generation and nothing can change what it says of its log: neither an entry
    /// that is being written nor a snapshot of the old history that the state store has been given.
    var isSealDurable: Bool {
        raft.isSealDurable && (snapshots.isAtRest || Planted.isOn(.sealedAmidSnapshot))
    }

    /// Whether the members that the descriptor names are in force, for good.
    var hasTargetMembers: Bool { raft.isMembershipSettled && raft.membership.members == descriptor.members }

    private var ruleInForce: CommitRule {
        hasTargetMembers ? descriptor.commitRule : descriptor.transition?.commitRule ?? descriptor.commitRule
    }

    /// Whether the group is what its descriptor says.
    var isSettled: Bool { hasTargetMembers && raft.configuration.commitRule == descriptor.commitRule }

    /// Takes over a new description of the range.
    mutating func follow(_ descriptor: RangeDescriptor, _ configuration: RaftConfiguration, at now: Moment) {
        precondition(descriptor.id == self.descriptor.id, "\(descriptor.id) is not \(self.descriptor.id)")
        self.descriptor = descriptor
        target = configuration
        followRule()
        if let fence = descriptor.fence { raft.seal(for: fence, at: now) }
        nextReconciliation = now.instant
    }

    /// The rule that counts at present goes into force.
    private mutating func followRule() {
        var configuration = target
        configuration.commitRule = ruleInForce
        raft.reconfigure(configuration)
    }

    /// Takes the next step towards the descriptor's members, if this replica leads and the last step is done.
    mutating func reconcile(at now: Moment) {
        guard let due = nextReconciliation, now.instant >= due else { return }
        followRule()
        guard !isSettled else {
            nextReconciliation = nil
            return
        }
        nextReconciliation = now.instant.advanced(byNanoseconds: Self.reconciliationNanoseconds)
        guard raft.role == .leader, raft.hasCommittedInTerm, raft.isMembershipSettled, !hasTargetMembers else { return }
        guard let change = nextChange(at: now) else { return }
        let id = ProposalID(rawValue: nextProposal)
        nextProposal += 1
        raft.receive(.changeMembership(change, id), at: now)
    }

    private mutating func nextChange(at now: Moment) -> MembershipChange? {
        let missing = descriptor.members.filter { raft.membership[$0.node] == nil }
        guard missing.isEmpty else {
            stragglersSince = nil
            return MembershipChange(target: raft.membership.members + missing.map(\.asLearner), rule: .majority)
        }
        let stragglers = descriptor.members.filter { member in
            member.role == .voter && raft.membership[member.node]?.role != .voter && !raft.isCaughtUp(member.node)
        }
        guard !stragglers.isEmpty else {
            stragglersSince = nil
            return MembershipChange(target: descriptor.members, rule: descriptor.commitRule)
        }
        // One that does not come must not keep the others from taking over, if they are enough. It votes with them from
        // the start: without it they would be fewer, and could spare none.
        let since = stragglersSince ?? now.instant
        stragglersSince = since
        let voters = descriptor.members.filter { $0.role == .voter }
        guard now.instant.nanoseconds(since: since) > Self.stragglerPatienceNanoseconds,
            stragglers.count * 2 < voters.count
        else { return nil }
        return MembershipChange(target: descriptor.members, rule: descriptor.commitRule, takesStragglers: true)
    }

    /// How long a step is waited for before the next is tried.
    private static var reconciliationNanoseconds: Int64 { 25_000_000 }
    /// How long a change waits for all new voters to catch up.
    private static var stragglerPatienceNanoseconds: Int64 { 3_000_000_000 }

    /// What this replica knows of its range.
    var status: ReplicaStatus {
        ReplicaStatus(
            node: node, term: raft.term, isLeader: raft.role == .leader, isSealed: isSealDurable,
            isRecovering: raft.isRecovering, hasMembers: hasTargetMembers, isSettled: isSettled && raft.isCommitCovered,
            revision: descriptor.revision,
            last: raft.lastPosition, committed: committedPosition, complete: closed.usable,
            membership: raft.membership)
    }

    private var committedPosition: LogPosition {
        LogPosition(term: raft.term(at: raft.commitIndex) ?? .zero, index: raft.commitIndex)
    }

    // MARK: Authority

    /// Whether no other region can have begun to serve this range (`Authority`).
    package func isAuthorized(at now: Moment) -> Bool {
        authority == .distantFuture || Planted.isOn(.authorityNeverEnds)
            || (now.clock.isKnown && now.clock.latest < authority)
    }
}

extension Member {
    fileprivate var asLearner: Member { Member(node: node, region: region, role: .learner) }
}
