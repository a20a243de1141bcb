import MeridianConsensus
import MeridianCore

/// Where the replicas of a node leave their effects during a step: one frame a peer, one log job for all.
///
/// Frames stand in the order in which peers were first written to. When they were sent, and what they echo, is filled
/// in at the end of the step.
struct StepEffects: ~Copyable {
    var node = NodeEffects()
    /// Answers to this node's own gateway.
    var localReplies: [RangeReply] = []
    /// Replicas of this node that must leave service because their rows are not the others'.
    var damaged: [RangeID] = []
    /// Transactions that somebody must bring to their end.
    var abandoned: [Abandoned] = []
    /// Transactions that this node coordinates and that should make way.
    var localWounds: [TransactionID] = []
    /// Commits and reads of other nodes' gateways that were refused.
    private(set) var refused: [ReplyAddress] = []
    private let own: NodeID

    init(node: NodeID) { own = node }

    mutating func send(_ message: NodeMessage, to peer: NodeID) {
        Self.add(message, from: own, to: peer, in: &node.frames)
    }

    /// Sends a frame even if there is nothing to say.
    mutating func greet(_ peer: NodeID) {
        // Whoever greets one peer greets most of them.
        if node.frames.isEmpty { node.frames.reserveCapacity(8) }
        if !node.frames.contains(where: { $0.to == peer }) { node.frames.append(Self.frame(from: own, to: peer, [])) }
    }

    mutating func reply(_ body: RangeReply.Body, to address: ReplyAddress, range: RangeID) {
        let reply = RangeReply(id: address.id, range: range, body: body, attempt: address.attempt)
        if address.node == own {
            localReplies.append(reply)
        } else {
            send(.reply(reply), to: address.node)
            if case .failed = body { refused.append(address) }
        }
    }

    mutating func wound(_ id: TransactionID, coordinator: NodeID) {
        if coordinator == own { localWounds.append(id) } else { send(.wound(id), to: coordinator) }
    }

    mutating func persist(_ job: PersistJob, range: RangeID) {
        var write = LogWrite(range: range)
        write.reset = job.reset
        write.entries = job.entries
        write.hardState = job.hardState
        if write.reset != nil || !write.entries.isEmpty || write.hardState != nil { node.log.writes.append(write) }
        node.log.confirmations.append(PersistConfirmation(range: range, token: job.token))
        for message in job.messagesAfter {
            Self.add(.raft(range, message), from: own, to: message.to, in: &node.log.framesAfter)
        }
    }

    mutating func compact(_ position: LogPosition, range: RangeID) {
        var write = LogWrite(range: range)
        write.compact = position
        node.log.writes.append(write)
    }

    mutating func apply(_ batch: ApplyBatch) { node.applies.append(batch) }
    mutating func evaluate(_ evaluation: Evaluation) { node.evaluations.append(evaluation) }
    mutating func readSnapshot(_ read: SnapshotRead) { node.snapshotReads.append(read) }
    mutating func writeSnapshot(_ write: SnapshotWrite) { node.snapshotWrites.append(write) }

    /// - Parameters:
    ///   - moment: of the step, with the node's own clock.
    ///   - peers: says what was heard of them, for the echoes, and learns what is sent.
    consuming func finish(at moment: Moment, _ peers: inout Peers, isReadOnly: Bool) -> NodeEffects {
        for position in node.frames.indices {
            node.frames[position].clock = moment.clock
            node.frames[position].sent = moment.instant
            node.frames[position].echo = peers.noteSent(to: node.frames[position].to, at: moment.instant)
            node.frames[position].isReadOnly = isReadOnly
        }
        // How long the disk takes is not known, so the clock's reading would be stale.
        for position in node.log.framesAfter.indices {
            node.log.framesAfter[position].sent = moment.instant
            node.log.framesAfter[position].isReadOnly = isReadOnly
        }
        return node
    }

    private static func frame(from own: NodeID, to peer: NodeID, _ messages: [NodeMessage]) -> NodeFrame {
        NodeFrame(from: own, to: peer, clock: nil, sent: .zero, messages: messages)
    }

    private static func add(_ message: NodeMessage, from own: NodeID, to peer: NodeID, in frames: inout [NodeFrame]) {
        if let position = frames.firstIndex(where: { $0.to == peer }) {
            frames[position].messages.append(message)
        } else {
            frames.append(frame(from: own, to: peer, [message]))
        }
    }
}
