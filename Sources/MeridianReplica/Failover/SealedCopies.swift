import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// What a set of sealed replicas proves of a history that has lost its quorum: whether they have every commit that was
/// ever acknowledged, so that the most up-to-date of them can stand for all.
///
/// **The claim.** A commit is acknowledged when it is durable on a set of nodes that satisfies the commit rule, of the
/// membership that was in force at its leader. A sealed replica acknowledges nothing more, and what it acknowledged is
/// in what it reports. So if no set *without* a sealed replica can satisfy the rule, then
///
/// - nothing is acknowledged any more, and
/// - of each acknowledged commit some sealed replica has the entry. The most up-to-date sealed log has them all: let it
///   end in term t, and let c, committed in term s, be missing. If s > t, the sealed replica that has c would have been
///   more up to date. If s = t, one leader wrote both in order, so the longer log has the shorter one's. If s < t, the
///   leader of t had c (Leader Completeness), and whoever has an entry of t has what its leader had before it.
///
/// **Which memberships?** All in which a commit may have been acknowledged that the sealed logs do not show: not the
/// one that the longest of them names alone, since a leader can have gone on to the next one with others. The record
/// knows them: a change begins when the one before is over, so they are the steps from `transition.members` to
/// `members` (`Replica.nextChange`). The rule is the transition's, and the record's own once its members are in force.
/// Commits of earlier changes are covered with these: a change is over when its leader knows that everything committed
/// satisfies the new rule among the new members (`Raft.isCommitCovered`). A sealed replica that knows the last step to
/// be committed rules the ones before it out: no leader can be without that step any more, and what was acknowledged
/// before it stands before it in the log.
///
/// A region is many nodes: one sealed copy there says nothing of the others, each of which can be the copy that the
/// rule asks for. So it is asked of sets of nodes and never of regions.
///
/// **A majority** of the voters that the longest log names (amid a joint change of both sets) is enough, whatever the
/// record says. Memberships that follow each other have no disjoint majorities, and none follows before the one before
/// it is committed. So the first that the sealed logs do not show would have been committed with one of them. Here it
/// takes a majority, and not only so many that the others have none: amid a joint change, whoever has half of it may
/// have got it from a leader that is dead, while the members before go on without it.
package struct SealedCopies {
    private let fenced: RangeDescriptor
    private let statuses: [ReplicaStatus]

    /// - Parameter statuses: of replicas that are sealed, none of which has lost its disk since.
    package init(_ statuses: [ReplicaStatus], of fenced: RangeDescriptor) {
        self.fenced = fenced
        self.statuses = statuses
    }

    /// Whether every acknowledged commit is in the most up-to-date of the logs.
    ///
    /// A log without an entry of the present generation says nothing of its members, and proves nothing.
    package var areComplete: Bool {
        guard let longest = statuses.max(by: { $0.last < $1.last }),
            longest.last.term.generation == fenced.generation
        else { return false }
        if haveMajorities(of: longest.membership) { return true }
        return acknowledging.allSatisfy { forbid($0.rule, $0.membership) }
    }

    private func haveMajorities(of membership: Membership) -> Bool {
        [membership.members, membership.outgoing].allSatisfy { members in
            let voters = members.filter { $0.role != .learner }
            return voters.isEmpty || voters.count { isSealed($0.node) } > voters.count / 2
        }
    }

    /// Whether no commit can be acknowledged without one of these replicas.
    private func forbid(_ rule: CommitRule, _ membership: Membership) -> Bool {
        let quorum = CommitQuorum(rule: rule, membership: membership)
        return quorum.index { node in isSealed(node) ? .zero : LogIndex(1) } == .zero
    }

    private func isSealed(_ node: NodeID) -> Bool { statuses.contains { $0.node == node } }

    /// In which memberships, and by which rules, commits may have been acknowledged.
    private var acknowledging: [(rule: CommitRule, membership: Membership)] {
        let steps = isLastStepKnown ? [fenced.membership] : fenced.steps
        let rule = fenced.transition?.commitRule ?? fenced.commitRule
        return steps.map { (rule, $0) } + [(fenced.commitRule, fenced.membership)]
    }

    private var isLastStepKnown: Bool {
        statuses.contains { $0.hasMembers && $0.membership == fenced.membership }
    }
}

extension RangeDescriptor {
    /// The memberships that the range's group passes through on its way to these members, the last included, in order.
    package var steps: [Membership] {
        guard let transition else { return [membership] }
        let old = Membership(members: transition.members)
        let missing = members.filter { old[$0.node] == nil }
        let joined = Membership(
            members: old.members + missing.map { Member(node: $0.node, region: $0.region, role: .learner) })
        var steps = [old, joined]
        let change = MembershipChange(target: members)
        if let step = try? joined.step(to: change, rule: commitRule, isCaughtUp: { _ in true }),
            case .joint(let joint) = step
        {
            steps.append(joint)
        }
        return steps + [membership]
    }
}
