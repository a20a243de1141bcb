import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Only log entries from the leader's current term are committed by counting replicas (Raft §5.4.2 and figure 8):
/// whenever a leader's commit index moves, it moves to an entry of the leader's own term.
final class CurrentTermCommit: Invariant {
    static let name = "leaders count copies of their own term's entries"

    private struct Leader: Hashable {
        var range: RangeID
        var node: NodeID
    }

    private var commits: [Leader: (term: Term, commit: LogIndex)] = [:]

    func stopped(_ node: SimulatedNode) { commits = commits.filter { $0.key.node != node.id } }

    func check(_ step: StepView, _ ledger: Ledger) -> String? {
        guard let core = step.node.core else { return nil }
        for slot in step.slots where core.replicas[slot].raft.role == .leader {
            let leader = Leader(range: core.replicas[slot].descriptor.id, node: step.node.id)
            let (term, commit) = (core.replicas[slot].raft.term, core.replicas[slot].raft.commitIndex)
            guard let before = commits.updateValue((term, commit), forKey: leader), before.term == term,
                commit > before.commit, let committed = core.replicas[slot].raft.term(at: commit), committed != term
            else { continue }
            return "\(leader.range): \(leader.node) leads in \(term) and commits up to \(commit) of \(committed)"
        }
        return nil
    }
}
