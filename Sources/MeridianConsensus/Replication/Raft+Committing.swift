import DequeModule
import MeridianCore

/// How entries become committed, applied and forgotten (Raft §5.3, §5.4.2, §7).
extension Raft {
    /// Commits what the rule calls committed. Only an entry of the leader's own term is committed by counting copies;
    /// the ones before it come with it (Raft §5.4.2, figure 8).
    mutating func advanceCommit() {
        precondition(role == .leader, "a \(role) counts no copies")
        let index = commitQuorum.index { node in
            Planted.isOn(.countUnsyncedOwnLog) && node == configuration.node
                ? log.lastIndex : lead.progress.match(node)
        }
        let isOfThisTerm = log.term(at: index) == term || Planted.isOn(.commitEarlierTermByCounting)
        guard index > commitIndex, isOfThisTerm else { return }
        commit(through: index)
        settleProposals()
        leaveJointIfCommitted()
        let isSettled = !membership.isJoint && history.currentIndex <= commitIndex
        if isSettled, !membership.canCampaign(configuration.node) { lead.isResigning = true }
    }

    /// Whether an entry of this leader's term is committed, and with it everything that any leader before it
    /// committed: until then it does not know the state of the group (Raft §8).
    package var hasCommittedInTerm: Bool { role == .leader && commitIndex >= lead.termStart }

    /// A write is durable. Tokens are confirmed in order; one stands for all before it.
    mutating func persisted(_ token: PersistToken, at now: Moment) {
        precondition(
            token <= lastToken, "token \(token.rawValue) was not handed out; the last is \(lastToken.rawValue)")
        persistedToken = max(persistedToken, token)
        let rose = log.confirm(token)
        if role == .leader, rose, let slot = lead.progress.slot(of: configuration.node) {
            lead.progress[slot].persist(log.persisted)
            advanceCommit()
        }
        if role == .candidate, isHardStateDurable, !ballots.contains(where: { $0.node == configuration.node }) {
            record(configuration.node, isGranted: true, at: now)
        }
    }

    mutating func applied(_ index: LogIndex) {
        precondition(index <= handedOut, "\(index) is applied, but only \(handedOut) was handed out")
        guard index > appliedIndex else { return }
        appliedIndex = index
        history.forget(before: index)
    }

    mutating func compact(through index: LogIndex) {
        precondition(index <= appliedIndex, "compacting \(index), but only \(appliedIndex) is applied")
        log.compact(through: index)
    }
}
