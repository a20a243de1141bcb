import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// What the shell must do after a step. The parts are independent of each other, except as their fields say.
///
/// Not copyable: whoever steps a node thousands of times a second would copy it unawares.
package struct NodeEffects: ~Copyable, Sendable {
    /// To be sent at once, before anything is written: followers then write while the leader does.
    package var frames: [NodeFrame] = []
    /// One transaction and one fsync for all ranges. Jobs are written in the order in which steps gave them.
    package var log = LogJob()
    /// One transaction. In the order of the steps, together with the snapshot writes.
    package var applies: [ApplyBatch] = []
    /// To be run against applied rows, each answered by `NodeEvent.evaluated`.
    package var evaluations: [Evaluation] = []
    package var snapshotReads: [SnapshotRead] = []
    package var snapshotWrites: [SnapshotWrite] = []
    /// To be kept durably, each answered by `NodeEvent.salvaged`.
    package var salvages: [Salvage] = []
    package var answers: [GatewayAnswer] = []
    /// Ranges that this node began (`true`) or ceased (`false`) to lead, in order.
    package var leaderships: [Leadership] = []
    /// Replicas, here or elsewhere, that this node as a leader has found to differ. An operator should hear of them.
    package var divergences: [Divergence] = []
    /// Tables or ranges were added: whoever keeps a copy of the directory takes a new one.
    package var directoryChanged = false
    /// A snapshot brought the catalog: read `Catalog.storedSpan` and answer with `NodeEvent.systemRows`.
    package var rereadsCatalog = false

    package init() {}
}

package struct Leadership: Hashable, Sendable {
    package var range: RangeID
    package var isHeld: Bool
}

/// What must become durable together, and what waits for it.
package struct LogJob: Sendable {
    package var writes: [LogWrite] = []
    /// To be handed back as `NodeEvent.persisted` when the writes are durable.
    package var confirmations: [PersistConfirmation] = []
    /// To be sent when the writes are durable.
    package var framesAfter: [NodeFrame] = []

    package init() {}
    package var isEmpty: Bool { writes.isEmpty && confirmations.isEmpty && framesAfter.isEmpty }
}

/// The end of a `GatewayCall`.
package struct GatewayAnswer: Sendable {
    package enum Body: Sendable {
        case committed(CommitResult, routeNanoseconds: Int64)
        case read(ReadResult)
        case status(ReplicaStatus)
        case transactions([TransactionStatus])
        /// A transaction has come to its end in the range, a lease transfer has begun, or locks are held or gone.
        case done
        case failed(MeridianError)
    }

    package var id: GatewayRequestID
    package var body: Body
}

package struct SnapshotRead: Hashable, Sendable {
    package var stream: SnapshotStreamID
    package var span: KeySpan
    package var offset: Int
    /// Nothing more will be read from this stream: release it.
    package var isEnd = false

    package var range: RangeID { stream.range }
}

package struct SnapshotReadResult: Sendable {
    package var stream: SnapshotStreamID
    package var state: AppliedState?
    /// `nil` when the stream could not be read.
    package var chunk: SnapshotChunk?

    package init(stream: SnapshotStreamID, state: AppliedState?, chunk: SnapshotChunk?) {
        self.stream = stream
        self.state = state
        self.chunk = chunk
    }
}

package struct SnapshotWrite: Sendable {
    package var span: KeySpan
    package var from: NodeID
    package var message: SnapshotChunkMessage

    package var range: RangeID { message.range }
}

package struct SnapshotWriteResult: Sendable {
    package var write: SnapshotWrite
    package var progress: SnapshotReplyMessage.Progress

    package init(write: SnapshotWrite, progress: SnapshotReplyMessage.Progress) {
        self.write = write
        self.progress = progress
    }
}
