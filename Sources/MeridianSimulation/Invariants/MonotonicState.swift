import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// Terms, commit indexes and applied indexes only grow (Raft §5.1; figure 2), the term also over restarts: what was
/// durable is remembered. A node never votes for two candidates in one term (§5.2), whatever it forgets.
final class MonotonicState: Invariant {
    static let name = "monotonic term, commit and applied index"
    static let interest: Interest = [.replicas, .disks]

    private struct Height {
        var term: Term
        var commit: LogIndex
        var applied: LogIndex
    }

    private struct Vote: Equatable {
        var term: Term
        var vote: NodeID?
    }

    private let heights = ReplicaTable<Height>()
    private var durable: [NodeID: [RangeID: Vote]] = [:]
    private var secondVote: String?

    func stopped(_ node: SimulatedNode) { heights.forget(node: node.position) }
    func destroyed(_ node: SimulatedNode) { durable[node.id] = nil }

    func written(_ node: SimulatedNode, _ writes: [LogWrite]) {
        for write in writes {
            guard let state = write.hardState else { continue }
            let vote = Vote(term: state.term, vote: state.vote)
            if let known = durable[node.id]?[write.range] {
                if known.term == vote.term, let first = known.vote, let second = vote.vote, first != second {
                    secondVote = "\(write.range): \(node.id) votes for \(first) and \(second) in \(vote.term)"
                }
                if vote.term < known.term {
                    secondVote = "\(write.range): \(node.id) goes from \(known.term) back to \(vote.term)"
                }
            }
            durable[node.id, default: [:]][write.range] = vote
        }
    }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        if let secondVote { return secondVote }
        let core = step.core
        let place = step.node.position
        for slot in step.slots {
            let height = Height(
                term: core.replicas[slot].raft.term, commit: core.replicas[slot].raft.commitIndex,
                applied: core.replicas[slot].raft.appliedIndex)
            if let before = heights[place, slot] {
                if height.term < before.term || height.commit < before.commit || height.applied < before.applied {
                    let range = core.replicas[slot].descriptor.id
                    return "\(range) at \(step.node.id) goes from \(before.term), commit \(before.commit), applied "
                        + "\(before.applied) to \(height.term), \(height.commit), \(height.applied)"
                }
            } else if let known = durable[step.node.id]?[core.replicas[slot].descriptor.id], height.term < known.term {
                let range = core.replicas[slot].descriptor.id
                return "\(range): \(step.node.id) restarts in \(height.term), but \(known.term) was durable"
            }
            heights[place, slot] = height
        }
        return nil
    }
}
