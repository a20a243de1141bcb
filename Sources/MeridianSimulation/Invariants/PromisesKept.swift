import MeridianConsensus
import MeridianCore
import MeridianReplica

/// A voter that has promised a leader its lease votes for nobody else before the lease is over, unless that leader
/// itself asks for the election (DESIGN §5; reliability.md FC 8 and FC 16), also when it has been restarted in between.
///
/// Checked on frames against true time, which is never behind what the voter can know for certain. Not promised when
/// clocks lie.
final class PromisesKept: Invariant {
    static let name = "promises to leaseholders are kept"
    static let interest: Interest = .frames

    private struct Voter: Hashable {
        var range: RangeID
        var node: NodeID
    }

    private struct Campaign: Hashable {
        var range: RangeID
        var candidate: NodeID
        var term: Term
    }

    private struct Promise {
        var leader: NodeID
        var term: Term
        var end: Timestamp

        mutating func extend(to other: Promise) { if other.end > end { self = other } }
    }

    private var promises: [Voter: Promise] = [:]
    private var transfers: Set<Campaign> = []
    private unowned let engine: Engine

    init(_ engine: Engine) { self.engine = engine }

    func sent(_ frame: NodeFrame) -> String? {
        for case .raft(let range, let message) in frame.messages {
            let voter = Voter(range: range, node: message.from)
            switch message.body {
            case .appendReply(let reply): note(reply.lease, of: voter, message)
            case .heartbeatReply(let reply): note(reply.lease, of: voter, message)
            case .requestVote(let request) where request.isTransfer:
                transfers.insert(Campaign(range: range, candidate: message.from, term: message.term))
            case .vote(let vote) where vote.isGranted && !vote.isPreVote:
                // A vote of an earlier term was given before the promise, and the disk kept it back.
                guard let promise = promises[voter], promise.leader != message.to, promise.term <= message.term,
                    case let now = engine.trueTime, now < promise.end,
                    !transfers.contains(Campaign(range: range, candidate: message.to, term: message.term))
                else { continue }
                let early = (promise.end.rawValue - now.rawValue) / 1_000_000
                return "\(range): \(message.from) votes for \(message.to) \(early) ms before its promise to "
                    + "\(promise.leader) ends"
            default: continue
            }
        }
        return nil
    }

    private func note(_ lease: Timestamp?, of voter: Voter, _ message: RaftMessage) {
        guard let lease else { return }
        let promise = Promise(leader: message.to, term: message.term, end: lease)
        promises[voter, default: promise].extend(to: promise)
    }
}
