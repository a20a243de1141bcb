import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// A node gives at most one vote in a term (Raft §5.2), over restarts and lost disks. Checked on the frames that bear
/// votes: two votes of one term can elect two leaders long before both of them stand on a disk.
///
/// One exception. Who lost its disk and was readmitted votes for nobody in the term in which its recovery ended, nor
/// before. Later terms are free, even one in which its earlier life had voted ahead of the cluster: that candidate
/// asked before the readmission was proposed, so it loses (the lemma in `Raft+Readmission`).
final class OneVote: Invariant {
    static let name = "one vote a term"
    static let interest: Interest = [.replicas, .frames]

    private struct Ballot: Hashable {
        var range: RangeID
        var voter: NodeID
        var term: Term
    }

    private struct Voter: Hashable {
        var range: RangeID
        var node: NodeID
    }

    private var candidates: [Ballot: NodeID] = [:]
    /// Nodes that lost their disks at some time.
    private var bereft: Set<NodeID> = []
    private var isAnyBereft = false
    /// Those whose replicas are known to recover.
    private var recovering: Set<Voter> = []

    func destroyed(_ node: SimulatedNode) {
        bereft.insert(node.id)
        isAnyBereft = true
    }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        guard isAnyBereft, bereft.contains(step.node.id) else { return nil }
        let core = step.core
        for slot in step.slots {
            let voter = Voter(range: core.replicas[slot].descriptor.id, node: step.node.id)
            if core.replicas[slot].raft.isRecovering {
                recovering.insert(voter)
            } else if recovering.remove(voter) != nil {
                let term = core.replicas[slot].raft.term
                candidates = candidates.filter { ballot, _ in
                    ballot.voter != voter.node || ballot.range != voter.range || ballot.term <= term
                }
            }
        }
        return nil
    }

    func sent(_ frame: NodeFrame) -> String? {
        for case .raft(let range, let message) in frame.messages {
            let candidate: NodeID
            switch message.body {
            case .requestVote(let request) where !request.isPreVote: candidate = message.from
            case .vote(let vote) where vote.isGranted && !vote.isPreVote: candidate = message.to
            default: continue
            }
            let ballot = Ballot(range: range, voter: message.from, term: message.term)
            if let first = candidates.updateValue(candidate, forKey: ballot), first != candidate {
                return "\(range): \(message.from) votes for \(first) and for \(candidate) in \(message.term)"
            }
        }
        return nil
    }
}
