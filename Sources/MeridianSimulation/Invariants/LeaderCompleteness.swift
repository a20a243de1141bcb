import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// If an entry is committed in a given term, it is present in the logs of the leaders of all later terms (Raft,
/// figure 3: Leader Completeness; §5.4.3), within a generation. With Log Matching it suffices to look at the last
/// committed entry.
final class LeaderCompleteness: Invariant {
    static let name = "leader completeness"
    static let interest: Interest = .leaderships

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        guard !effects.leaderships.isEmpty else { return nil }
        let core = step.core
        for slot in step.slots where core.replicas[slot].raft.role == .leader {
            let range = core.replicas[slot].descriptor.id
            let committed = ledger.highest(range)
            let term = core.replicas[slot].raft.term
            guard committed.index > .zero, committed.term < term else { continue }
            guard core.replicas[slot].raft.basePosition.index < committed.index else { continue }
            // A later generation has what lies before its fork (`Generation`).
            if term.generation > committed.term.generation, let seed = core.replicas[slot].descriptor.seed,
                committed.index > seed.fork.index
            {
                continue
            }
            let held = core.replicas[slot].raft.term(at: committed.index)
            if held != committed.term {
                return "\(range): \(step.node.id) leads in \(term) without the committed entry \(committed): it has "
                    + (held.map { "\($0) there" } ?? "nothing there")
            }
        }
        return nil
    }
}
