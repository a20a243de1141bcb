import MeridianConsensus
import MeridianCore

/// Everything that can happen to a node. The runtime and the simulator make these; nothing else reaches the core.
package enum NodeEvent: Sendable {
    /// A client of this node asks for something. Every call ends in exactly one `NodeEffects.answers` element.
    case call(GatewayCall)
    case frame(NodeFrame)
    /// A `LogJob` is durable: these groups' jobs up to these tokens.
    case persisted([PersistConfirmation])
    /// The log can no longer be written (failed fsync), or not now (`.diskFull`). The node stops taking commits and
    /// hands its leaderships to nodes that can write.
    case logFailed(MeridianError)
    /// The log can be written again after it was full.
    case logRecovered
    /// As `logFailed`, of the applied rows.
    case stateFailed(MeridianError)
    case stateRecovered
    /// All rows of `Catalog.storedSpan`, as `NodeEffects.rereadsCatalog` asked.
    case systemRows([Mutation])
    /// These ranges' rows are applied up to these indexes.
    case applied([AppliedConfirmation])
    case evaluated(EvaluationResult)
    /// What the rows add up to, where an applied batch asked for it.
    case digested([DigestReport])
    /// The range's rows were looked through, and are not as they were applied.
    case damaged(RangeID)
    /// The state store is durable up to these indexes, so the logs may be cut.
    case checkpointed([AppliedConfirmation])
    /// The log is to hold nothing at or below this index as soon as that is durable as rows.
    case forget(RangeID, through: LogIndex)
    case snapshotRead(SnapshotReadResult)
    case snapshotWritten(SnapshotWriteResult)
    /// What `NodeEffects.salvages` gave of this range is durable.
    case salvaged(RangeID)
    /// Time has passed; due at `NodeEffects.deadline`.
    case tick
}

package struct GatewayCall: Sendable {
    /// Unique for this node and incarnation.
    package var id: GatewayRequestID
    /// The range that is asked; a transaction's first.
    package var range: RangeID
    package var body: Body
    /// When to give up.
    package var deadline: Instant
    /// Whether an earlier call with this commit's id may have been made: it is looked up instead of assumed new.
    package var mayBeRepeated: Bool

    package enum Body: Hashable, Sendable {
        /// Asks one range.
        case request(RangeRequest.Body)
        /// Commits over several ranges.
        case transaction(TransactionRequest)
        /// What has become of an attempt to commit over several ranges? It is brought to its end first. The call's
        /// range is its anchor.
        case settle(TransactionID)

        /// Whether rows may be changed by it.
        package var isCommit: Bool {
            switch self {
            case .request(.commit), .transaction: true
            case .request, .settle: false
            }
        }

        /// Whether a node with a replica of the range can answer it alone.
        package var isForReplicas: Bool {
            if case .request(let request) = self { request.isForReplicas } else { false }
        }

        package static func commit(_ commit: CommitRequest) -> Body { .request(.commit(commit)) }
        package static func read(_ read: ReadRequest) -> Body { .request(.read(read)) }
    }

    package init(
        id: GatewayRequestID, range: RangeID, body: Body, deadline: Instant, mayBeRepeated: Bool = false
    ) {
        self.id = id
        self.range = range
        self.body = body
        self.deadline = deadline
        self.mayBeRepeated = mayBeRepeated
    }
}

extension MeridianError {
    /// The caller of this call no longer waits for it.
    package static func cancelled(while body: GatewayCall.Body) -> MeridianError {
        MeridianError(
            .cancelled,
            "the caller's task was cancelled"
                + (body.isCommit
                    ? "; the commit can have happened: ask again with the same request id, which tells" : ""),
            commitOutcome: body.isCommit ? .unknown : .notCommitted)
    }
}

package struct PersistConfirmation: Hashable, Sendable {
    package var range: RangeID
    package var token: PersistToken
}

package struct AppliedConfirmation: Hashable, Sendable {
    package var range: RangeID
    package var index: LogIndex

    package init(range: RangeID, index: LogIndex) {
        self.range = range
        self.index = index
    }
}
