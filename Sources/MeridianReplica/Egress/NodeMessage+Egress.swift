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
        case .closed, .quiet, .quietReply, .wound: .consensus
        case .snapshotChunk: .snapshot
        case .snapshotReply: .consensus
        case .request: .request
        case .reply: .answer
        }
    }

    /// The range that it is about; `nil` where it is about several, or a transaction.
    package var range: RangeID? {
        switch self {
        case .raft(let range, _), .closed(let range, _): range
        case .quiet, .quietReply, .wound: nil
        case .request(let request): request.range
        case .reply(let reply): reply.range
        case .snapshotChunk(let chunk): chunk.range
        case .snapshotReply(let reply): reply.range
        }
    }

    /// Bytes of keys and encoded rows in it. A snapshot's chunk is nothing else.
    package var rowByteCount: Int {
        switch self {
        case .raft(_, let message):
            guard case .append(let append) = message.body else { return 0 }
            return append.entries.reduce(0) { $0 + $1.rowByteCount }
        case .closed, .quiet, .quietReply, .wound, .snapshotReply: return 0
        case .request(let request): return request.body.rowByteCount
        case .reply(let reply):
            guard case .read(let result) = reply.body else { return 0 }
            return result.rows.joined().reduce(0) { $0 + $1.key.bytes.count + ($1.version.value?.count ?? 0) }
        case .snapshotChunk(let chunk): return chunk.chunk.bytes.count
        }
    }
}

extension Entry {
    package var rowByteCount: Int {
        guard case .command(let command) = payload else { return 0 }
        var count = command.mutations.reduce(0) { $0 + $1.rowByteCount }
        if case .prepare(let preparation) = command.step?.kind {
            count += preparation.keys.reduce(0) { $0 + $1.bytes.count }
            count += preparation.spans.reduce(0) { $0 + $1.byteCount }
        }
        return count
    }
}

extension Mutation {
    fileprivate var rowByteCount: Int { key.bytes.count + (value?.count ?? 0) }
}

extension KeySpan {
    fileprivate var byteCount: Int { lower.bytes.count + (upper?.bytes.count ?? 0) }
}

extension Precondition {
    fileprivate var byteCount: Int {
        switch self {
        case .absent(let key), .present(let key), .unchanged(let key, _): key.bytes.count
        case .unchangedSpan(let span, _): span.byteCount
        }
    }
}

extension RangeRequest.Body {
    fileprivate var rowByteCount: Int {
        func bytes(_ preconditions: [Precondition], _ mutations: [Mutation] = []) -> Int {
            preconditions.reduce(0) { $0 + $1.byteCount } + mutations.reduce(0) { $0 + $1.rowByteCount }
        }
        switch self {
        case .commit(let commit): return bytes(commit.preconditions, commit.mutations)
        case .prepare(let prepare): return bytes(prepare.preconditions, prepare.mutations)
        case .read(let read):
            return read.operations.reduce(bytes(read.preconditions)) { sum, operation in
                switch operation {
                case .get(let key): sum + key.bytes.count
                case .scan(let span, _, _): sum + span.byteCount
                }
            }
        case .lock(let lock):
            let keys = (lock.claim.exclusive + lock.claim.shared).reduce(0) { $0 + $1.bytes.count }
            return keys + lock.claim.spans.reduce(0) { $0 + $1.byteCount }
        case .resolve, .unlock, .transferLease: return 0
        }
    }
}
