import MeridianConsensus
import MeridianCore
import MeridianReplica

/// A node gives at most one vote in a term (Raft §5.2), over restarts and lost disks. Checked on the frames that bear
/// votes: two votes of one term can elect two leaders long before both of them stand on a disk.
final class OneVote: Invariant {
    static let name = "one vote a term"

    private struct Ballot: Hashable {
        var range: RangeID
        var voter: NodeID
        var term: Term
    }

    private var candidates: [Ballot: NodeID] = [:]

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
