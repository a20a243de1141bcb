import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// How a message counts where it crosses a border: its channel, its range, and the bytes of rows in it.
extension NodeMessage {
    package var channel: EgressChannel {
        switch self {
        case .raft(_, let message):
            if case .append(let append) = message.body, !append.entries.isEmpty { .log } else { .consensus }
        case .closed, .quiet, .quietReply, .wound, .digest, .diverged: .consensus
        case .snapshotChunk: .snapshot
        case .snapshotReply: .consensus
        case .request: .request
        case .reply: .answer
        }
    }

    /// The range that it is about; `nil` where it is about several, or a transaction.
    package var range: RangeID? {
        switch self {
        case .raft(let range, _), .closed(let range, _), .diverged(let range, _, _): range
        case .digest(let report, _): report.range
        case .quiet, .quietReply, .wound: nil
        case .request(let request): request.range
        case .reply(let reply): reply.range
        case .snapshotChunk(let chunk): chunk.range
        case .snapshotReply(let reply): reply.range
        }
    }

    /// Bytes of keys and encoded rows in it. A snapshot's chunk is nothing else.
    package var rowByteCount: Int {
        var count = 0
        visitRowBytes { count += $0.count }
        return count
    }

    /// Every key and every encoded row in it.
    package func visitRowBytes(_ visit: ([UInt8]) -> Void) {
        switch self {
        case .raft(_, let message):
            guard case .append(let append) = message.body else { return }
            for entry in append.entries { entry.visitRowBytes(visit) }
        case .closed, .quiet, .quietReply, .wound, .snapshotReply, .digest, .diverged: return
        case .request(let request): request.body.visitRowBytes(visit)
        case .reply(let reply):
            guard case .read(let result) = reply.body else { return }
            for page in result.pages {
                for row in page.rows {
                    visit(row.key.bytes)
                    if let value = row.version.value { visit(value) }
                }
                if case .key(let key)? = page.resume { visit(key.bytes) }
            }
        case .snapshotChunk(let chunk): visit(chunk.chunk.bytes)
        }
    }
}

extension Entry {
    fileprivate func visitRowBytes(_ visit: ([UInt8]) -> Void) {
        guard case .command(let command) = payload else { return }
        for mutation in command.mutations { mutation.visitRowBytes(visit) }
        guard case .prepare(let preparation) = command.step?.kind else { return }
        for key in preparation.keys { visit(key.bytes) }
        for span in preparation.spans { span.visitBytes(visit) }
    }
}

extension Mutation {
    fileprivate func visitRowBytes(_ visit: ([UInt8]) -> Void) {
        visit(key.bytes)
        if let value { visit(value) }
    }
}

extension KeySpan {
    fileprivate func visitBytes(_ visit: ([UInt8]) -> Void) {
        visit(lower.bytes)
        if let upper { visit(upper.bytes) }
    }
}

extension Precondition {
    fileprivate func visitBytes(_ visit: ([UInt8]) -> Void) {
        switch self {
        case .absent(let key), .present(let key), .unchanged(let key, _): visit(key.bytes)
        case .unchangedSpan(let span, _): span.visitBytes(visit)
        }
    }
}

extension RangeRequest.Body {
    fileprivate func visitRowBytes(_ visit: ([UInt8]) -> Void) {
        switch self {
        case .commit(let commit):
            for precondition in commit.preconditions { precondition.visitBytes(visit) }
            for mutation in commit.mutations { mutation.visitRowBytes(visit) }
        case .prepare(let prepare):
            for precondition in prepare.preconditions { precondition.visitBytes(visit) }
            for mutation in prepare.mutations { mutation.visitRowBytes(visit) }
        case .read(let read):
            for precondition in read.preconditions { precondition.visitBytes(visit) }
            for operation in read.operations {
                switch operation.footprint {
                case .key(let key): visit(key.bytes)
                case .span(let span): span.visitBytes(visit)
                }
            }
        case .lock(let lock):
            for key in lock.claim.exclusive + lock.claim.shared { visit(key.bytes) }
            for span in lock.claim.spans { span.visitBytes(visit) }
        case .resolve, .unlock, .transferLease, .transactions, .status: return
        }
    }
}
