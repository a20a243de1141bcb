import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// Only log entries from the leader's current term are committed by counting replicas (Raft §5.4.2 and figure 8):
/// whenever a leader's commit index moves, it moves to an entry of the leader's own term.
final class CurrentTermCommit: Invariant {
    static let name = "leaders count copies of their own term's entries"
    static let interest: Interest = .replicas

    /// What each leader had committed.
    private let commits = ReplicaTable<(term: Term, commit: LogIndex)>()

    func stopped(_ node: SimulatedNode) { commits.forget(node: node.position) }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        let core = step.core
        let place = step.node.position
        for slot in step.slots where core.replicas[slot].raft.role == .leader {
            let (term, commit) = (core.replicas[slot].raft.term, core.replicas[slot].raft.commitIndex)
            let before = commits[place, slot]
            commits[place, slot] = (term, commit)
            guard let before, before.term == term,
                commit > before.commit, let committed = core.replicas[slot].raft.term(at: commit), committed != term
            else { continue }
            let range = core.replicas[slot].descriptor.id
            return "\(range): \(step.node.id) leads in \(term) and commits up to \(commit) of \(committed)"
        }
        return nil
    }
}
