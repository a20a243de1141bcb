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

    /// What the ranges of a message between two nodes were (`QuietRanges`).
    private struct QuietList: Hashable {
        var leader: NodeID
        var follower: NodeID
        var digest: UInt64
    }

    private var promises: [Voter: Promise] = [:]
    private var quietLists: [QuietList: [QuietRanges.Range]] = [:]
    private var transfers: Set<Campaign> = []
    private unowned let engine: Engine

    init(_ engine: Engine) { self.engine = engine }

    func sent(_ frame: NodeFrame) -> String? {
        for message in frame.messages { noteQuiet(message, of: frame) }
        for case .raft(let range, let message) in frame.messages {
            let voter = Voter(range: range, node: message.from)
            switch message.body {
            case .appendReply(let reply): note(reply.lease, of: voter, message)
            case .heartbeatReply(let reply): note(reply.lease, of: voter, message)
            case .requestVote(let request) where request.isTransfer:
                transfers.insert(Campaign(range: range, candidate: message.from, term: message.term))
            case .vote(let vote) where vote.isGranted && !vote.isPreVote:
                // A vote of an earlier term was given before the promise, and the disk kept it back. So was one of the
                // same term, for somebody who lost that election: its leader has a majority of the votes.
                guard let promise = promises[voter], promise.leader != message.to, promise.term < message.term,
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
        note(Promise(leader: message.to, term: message.term, end: lease), of: voter)
    }

    private func note(_ promise: Promise, of voter: Voter) {
        promises[voter, default: promise].extend(to: promise)
    }

    /// The promises of quiescent ranges, by one answer for many.
    private func noteQuiet(_ message: NodeMessage, of frame: NodeFrame) {
        switch message {
        case .quiet(let quiet):
            guard let ranges = quiet.ranges else { return }
            quietLists[QuietList(leader: frame.from, follower: frame.to, digest: quiet.digest)] = ranges
        case .quietReply(let reply) where !reply.isUnknown:
            let list = QuietList(leader: frame.to, follower: frame.from, digest: reply.digest)
            for range in quietLists[list] ?? [] where !reply.refused.contains(range.range) {
                let end = reply.base.advanced(byNanoseconds: range.leaseNanoseconds)
                note(
                    Promise(leader: frame.to, term: range.term, end: end),
                    of: Voter(range: range.range, node: frame.from))
            }
        default: break
        }
    }
}
