import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// At most one leader can be elected in a given term (Raft, figure 3: Election Safety; §5.2).
final class ElectionSafety: Invariant {
    static let name = "election safety"
    static let interest: Interest = .leaderships

    private struct Reign: Hashable {
        var range: RangeID
        var term: Term
    }

    private var leaders: [Reign: NodeID] = [:]

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        guard !effects.leaderships.isEmpty else { return nil }
        let core = step.core
        for slot in step.slots where core.replicas[slot].raft.role == .leader {
            let reign = Reign(range: core.replicas[slot].descriptor.id, term: core.replicas[slot].raft.term)
            if let other = leaders[reign], other != step.node.id {
                return "\(reign.range): \(other) and \(step.node.id) both lead in \(reign.term)"
            }
            leaders[reign] = step.node.id
        }
        return nil
    }
}
