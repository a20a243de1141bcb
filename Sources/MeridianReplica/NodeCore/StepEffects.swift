import MeridianConsensus
import MeridianCore

/// Where the replicas of a node leave their effects during a step: one frame a peer, one log job for all.
struct StepEffects: Sendable {
    var node = NodeEffects()
    /// Messages by peer, in the order in which peers were first written to.
    private var outgoing: [(peer: NodeID, messages: [NodeMessage])] = []
    private var outgoingAfter: [(peer: NodeID, messages: [NodeMessage])] = []
    /// Answers to this node's own gateway.
    var localReplies: [RangeReply] = []
    /// Transactions that somebody must bring to their end.
    var abandoned: [Abandoned] = []
    /// Transactions that this node coordinates and that should make way.
    var localWounds: [TransactionID] = []
    /// Commits and reads of other nodes' gateways that were refused.
    private(set) var refused: [ReplyAddress] = []
    private let own: NodeID

    init(node: NodeID) { own = node }

    mutating func send(_ message: NodeMessage, to peer: NodeID) { Self.add(message, to: peer, in: &outgoing) }

    /// Sends a frame even if there is nothing to say.
    mutating func greet(_ peer: NodeID) {
        if !outgoing.contains(where: { $0.peer == peer }) { outgoing.append((peer, [])) }
    }

    mutating func reply(_ body: RangeReply.Body, to address: ReplyAddress, range: RangeID) {
        let reply = RangeReply(id: address.id, range: range, body: body)
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
        for message in job.messagesAfter { Self.add(.raft(range, message), to: message.to, in: &outgoingAfter) }
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

    /// The peers that get a frame now.
    var peersWrittenTo: [NodeID] { outgoing.map(\.peer) }

    /// - Parameters:
    ///   - moment: of the step, with the node's own clock.
    ///   - peers: what was heard of them, for the echoes.
    consuming func finish(at moment: Moment, _ peers: Peers, isReadOnly: Bool) -> NodeEffects {
        for (peer, messages) in outgoing {
            node.frames.append(
                NodeFrame(
                    from: own, to: peer, clock: moment.clock, sent: moment.instant,
                    echo: peers.echo(to: peer, at: moment.instant), messages: messages, isReadOnly: isReadOnly))
        }
        for (peer, messages) in outgoingAfter {
            // How long the disk takes is not known, so the clock's reading would be stale.
            node.log.framesAfter.append(
                NodeFrame(
                    from: own, to: peer, clock: nil, sent: moment.instant, messages: messages,
                    isReadOnly: isReadOnly))
        }
        return node
    }

    private static func add(
        _ message: NodeMessage, to peer: NodeID, in list: inout [(peer: NodeID, messages: [NodeMessage])]
    ) {
        if let position = list.firstIndex(where: { $0.peer == peer }) {
            list[position].messages.append(message)
        } else {
            list.append((peer, [message]))
        }
    }
}
