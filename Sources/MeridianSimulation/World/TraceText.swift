import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import MeridianTransactions

extension Engine {
    /// How every replica stands, in words.
    var statusLines: [String] {
        nodes.flatMap { node -> [String] in
            guard let core = node.core else { return ["\(node.id) does not run"] }
            let trouble =
                (node.isPaused ? ", paused" : "") + (node.isLogDead ? ", log dead" : "")
                + (node.shell?.log.batch.isEmpty == false ? ", writing" : "")
                + (core.failure.map { ", \($0.code)" } ?? "")
            return core.replicas.map { "\(node.id)\(trouble): \($0.descriptor.id) \($0.raft.traceDescription)" }
        }
    }
}

extension Raft {
    fileprivate var traceDescription: String {
        "\(role) in \(term) of \(leader.map { "\($0)" } ?? "nobody"), log \(basePosition)...\(lastPosition), "
            + "durable \(persistedIndex), commit \(commitIndex), applied \(appliedIndex)"
            + (isQuiescent ? ", quiescent" : "") + (isRecovering ? ", recovering" : "")
    }
}

/// Events in words, for `--trace` and for the shortened trace of a failed seed.
extension NodeFrame {
    var traceDescription: String {
        let parts = messages.map(\.traceDescription)
        return "from \(from): " + (parts.isEmpty ? "a sign of life" : parts.joined(separator: "; "))
    }
}

extension NodeMessage {
    var traceDescription: String {
        switch self {
        case .raft(let range, let message): "\(range) \(message.traceDescription)"
        case .closed(let range, let promise):
            "\(range) closed \(promise.timestamp.rawValue) from \(promise.position)"
        case .quiet(let quiet): "quiet ranges, closed \(quiet.closed.rawValue)"
        case .quietReply(let reply): "quiet ranges but \(reply.refused.count)"
        case .request(let request):
            switch request.body {
            case .commit(let commit): "\(request.range) commit \(commit.id) of \(commit.mutations.count) rows"
            case .read(let read): "\(request.range) read of \(read.operations.count) at \(read.timestamp.text)"
            case .prepare(let prepare): "\(request.range) prepare \(prepare.id) of \(prepare.mutations.count) rows"
            case .resolve(let resolve): "\(request.range) \(resolve.resolution) \(resolve.id)"
            case .lock(let lock): "\(request.range) lock for \(lock.owner)"
            case .unlock(let owner): "\(request.range) unlock of \(owner)"
            case .transferLease(let node): "\(request.range) transfer to \(node)"
            case .status(let node): "\(request.range) status of \(node.map { "\($0)" } ?? "the leader")"
            }
        case .reply(let reply): "\(reply.range) reply \(reply.body.traceDescription)"
        case .snapshotChunk(let chunk):
            "\(chunk.range) snapshot \(chunk.state.position) chunk \(chunk.chunk.offset)"
                + (chunk.chunk.isLast ? ", last" : "")
        case .snapshotReply(let reply): "\(reply.range) snapshot \(reply.progress)"
        case .wound(let id): "wound \(id)"
        case .digest(let report, _):
            "\(report.range) digest at \(report.index): \(report.digest.sum)"
                + (report.isComplete ? "" : ", incomplete") + (report.isSound ? "" : ", damaged")
        case .diverged(let range, let index, _): "\(range) diverged at \(index)"
        }
    }
}

extension RangeReply.Body {
    fileprivate var traceDescription: String {
        switch self {
        case .committed(let result): "committed at \(result.timestamp.rawValue)"
        case .read(let result): "rows at \(result.timestamp.rawValue)"
        case .prepared(let result, let candidate):
            "prepared at \(result.timestamp.rawValue) for \(candidate.rawValue)"
        case .inDoubt(let id, let anchor): "in doubt: \(id), anchored in \(anchor)"
        case .standing(let standing): "stands \(standing.traceDescription)"
        case .locked: "locked"
        case .unlocked: "unlocked"
        case .transferStarted: "transfer started"
        case .status(let status): "status \(status.term), \(status.last)"
        case .notLeaseholder(let leader, let term):
            "not the leaseholder, \(leader.map { "\($0)" } ?? "nobody") is, \(term)"
        case .failed(let error): "failed: \(error.code)"
        case .unknown: "unknown"
        }
    }
}

extension Standing {
    fileprivate var traceDescription: String {
        switch self {
        case .prepared(let timestamp, _): "prepared at \(timestamp.rawValue)"
        case .committed(let timestamp): "committed at \(timestamp.rawValue)"
        case .aborted: "aborted"
        case .over: "over"
        }
    }
}

extension RaftMessage {
    fileprivate var traceDescription: String {
        switch body {
        case .requestVote(let request): "\(term) \(request.isPreVote ? "pre-vote" : "vote") wanted for \(request.last)"
        case .vote(let vote):
            "\(term) \(vote.isPreVote ? "pre-vote" : "vote") \(vote.isGranted ? "granted" : "refused")"
        case .append(let append):
            "\(term) append after \(append.previous), \(append.entries.count) entries, commit \(append.commit)"
        case .appendReply(let reply):
            switch reply.result {
            case .accepted(let index): "\(term) accepted up to \(index)"
            case .rejected(let previous, let hint): "\(term) rejected after \(previous), hint \(hint)"
            }
        case .heartbeat(let heartbeat): "\(term) heartbeat, commit \(heartbeat.commit)"
        case .heartbeatReply: "\(term) heartbeat reply"
        case .timeoutNow: "\(term) campaign now"
        case .recoveryCall(let incarnation): "lost its disk, \(incarnation)"
        }
    }
}

extension Timestamp? {
    fileprivate var text: String { map { "\($0.rawValue)" } ?? "now" }
}
