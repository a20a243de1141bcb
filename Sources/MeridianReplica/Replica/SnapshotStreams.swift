import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Snapshots that this replica sends and receives, one of each a peer.
///
/// The receiver asks for each chunk, so the sender keeps no window and a lost message costs a timeout, not the
/// stream; after a pause the stream goes on where the receiver stands.
struct SnapshotStreams: Sendable {
    struct Outgoing: Sendable {
        var follower: NodeID
        var offset: Int
        /// When the chunk is sent again.
        var retryAt: Instant
        var attempts: Int
    }

    /// By stream; few at a time.
    var outgoing: [(id: SnapshotStreamID, stream: Outgoing)] = []
    var next: UInt64 = 1
    /// Chunks that came in this step. They are given to the state store behind the rows that the step applies, if
    /// those do not pass them: installing a snapshot must never take the rows back.
    var incoming: [SnapshotWrite] = []
    /// Chunks that the state store has and has not answered.
    var unanswered = 0
    /// Of which history the last of them was.
    var generation: Generation?

    /// Whether nothing of a snapshot is on its way to this replica's rows.
    var isAtRest: Bool { incoming.isEmpty && unanswered == 0 }

    static let retryNanoseconds: Int64 = 3_000_000_000
    static let maximumAttempts = 5

    func position(of id: SnapshotStreamID) -> Int? { outgoing.firstIndex { $0.id == id } }
}

extension Replica {
    mutating func sendSnapshot(to follower: NodeID, at now: Moment, _ effects: inout StepEffects) {
        endSnapshots(to: follower, &effects)
        let id = SnapshotStreamID(range: descriptor.id, term: raft.term, number: snapshots.next)
        snapshots.next += 1
        let retryAt = now.instant.advanced(byNanoseconds: SnapshotStreams.retryNanoseconds)
        snapshots.outgoing.append((id, .init(follower: follower, offset: 0, retryAt: retryAt, attempts: 0)))
        effects.readSnapshot(SnapshotRead(stream: id, span: descriptor.span, offset: 0))
    }

    mutating func snapshotRead(_ result: SnapshotReadResult, at now: Moment, _ effects: inout StepEffects) {
        guard let position = snapshots.position(of: result.stream) else { return }
        let follower = snapshots.outgoing[position].stream.follower
        guard isLeading(result.stream), let state = result.state, let chunk = result.chunk else {
            raft.receive(.snapshotSent(to: follower, .failed), at: now)
            endSnapshots(to: follower, &effects)
            return
        }
        let message = SnapshotChunkMessage(stream: result.stream, state: state, chunk: chunk)
        effects.send(.snapshotChunk(message), to: follower)
    }

    mutating func receive(_ reply: SnapshotReplyMessage, at now: Moment, _ effects: inout StepEffects) {
        guard let position = snapshots.position(of: reply.stream) else { return }
        let follower = snapshots.outgoing[position].stream.follower
        switch reply.progress {
        case .wants(let offset):
            snapshots.outgoing[position].stream.offset = offset
            snapshots.outgoing[position].stream.attempts = 0
            snapshots.outgoing[position].stream.retryAt =
                now.instant.advanced(byNanoseconds: SnapshotStreams.retryNanoseconds)
            effects.readSnapshot(SnapshotRead(stream: reply.stream, span: descriptor.span, offset: offset))
        case .installed(let index):
            raft.receive(.snapshotSent(to: follower, .installed(index)), at: now)
            endSnapshots(to: follower, &effects)
        case .failed:
            raft.receive(.snapshotSent(to: follower, .failed), at: now)
            endSnapshots(to: follower, &effects)
        }
    }

    /// Whether this replica is still the leader that began the stream.
    private func isLeading(_ stream: SnapshotStreamID) -> Bool { raft.role == .leader && raft.term == stream.term }

    mutating func retrySnapshots(at now: Moment, _ effects: inout StepEffects) {
        for position in snapshots.outgoing.indices.reversed() {
            let (id, stream) = snapshots.outgoing[position]
            guard now.instant >= stream.retryAt else { continue }
            if !isLeading(id) || stream.attempts >= SnapshotStreams.maximumAttempts {
                raft.receive(.snapshotSent(to: stream.follower, .failed), at: now)
                endSnapshots(to: stream.follower, &effects)
                continue
            }
            snapshots.outgoing[position].stream.attempts += 1
            snapshots.outgoing[position].stream.retryAt =
                now.instant.advanced(byNanoseconds: SnapshotStreams.retryNanoseconds)
            effects.readSnapshot(SnapshotRead(stream: id, span: descriptor.span, offset: stream.offset))
        }
    }

    /// Ends all streams to followers.
    mutating func endSnapshots(_ effects: inout StepEffects) {
        for (_, stream) in snapshots.outgoing { endSnapshots(to: stream.follower, &effects) }
    }

    private mutating func endSnapshots(to follower: NodeID, _ effects: inout StepEffects) {
        for (id, stream) in snapshots.outgoing where stream.follower == follower {
            effects.readSnapshot(
                SnapshotRead(stream: id, span: descriptor.span, offset: stream.offset, isEnd: true))
        }
        snapshots.outgoing.removeAll { $0.stream.follower == follower }
    }

    /// A chunk came in. What does not fit this replica's state is refused, not written.
    mutating func receive(
        _ message: SnapshotChunkMessage, from sender: NodeID, at now: Moment, _ effects: inout StepEffects
    ) {
        guard message.stream.term >= raft.term, raft.role != .leader else { return }
        guard message.state.position.index > dispatched.position.index else {
            answerPassed(message, from: sender, &effects)
            return
        }
        snapshots.incoming.append(SnapshotWrite(span: descriptor.span, from: sender, message: message))
    }

    /// Hands on the chunks of this step. To be called when what the step commits has been dispatched.
    mutating func writeSnapshots(_ effects: inout StepEffects) {
        guard !snapshots.incoming.isEmpty else { return }
        // What came in the same step as a seal is of a history that this replica has left.
        if raft.isSealed { snapshots.incoming = [] }
        for write in snapshots.incoming {
            if write.message.state.position.index > dispatched.position.index {
                snapshots.unanswered += 1
                snapshots.generation = write.message.stream.term.generation
                effects.writeSnapshot(write)
            } else {
                answerPassed(write.message, from: write.from, &effects)
            }
        }
        snapshots.incoming = []
    }

    /// This replica does not need the snapshot any more. The leader takes the answer for an acknowledgement, so it
    /// counts only what a restart would find.
    private func answerPassed(_ message: SnapshotChunkMessage, from sender: NodeID, _ effects: inout StepEffects) {
        let kept = min(dispatched.position.index, max(durableIndex, raft.persistedIndex))
        let progress: SnapshotReplyMessage.Progress =
            kept >= message.state.position.index ? .installed(kept) : .failed
        effects.send(.snapshotReply(.init(stream: message.stream, progress: progress)), to: sender)
    }

    mutating func snapshotWritten(_ result: SnapshotWriteResult, at now: Moment, _ effects: inout StepEffects) {
        let message = result.write.message
        snapshots.unanswered -= 1
        // Changes of generation wait for it (`NodeCore.settleHistory`).
        precondition(
            message.stream.term.generation == raft.term.generation || raft.term.isSeal,
            "\(message.stream) was written, and \(node) is in \(raft.term)")
        // While the chunk waited for the state store, entries came that hold as much.
        guard message.state.position.index > dispatched.position.index else {
            answerPassed(message, from: result.write.from, &effects)
            return
        }
        // A replica that was elected meanwhile has the entries themselves, and the state store passes over those that
        // the snapshot held.
        if case .installed = result.progress, raft.role != .leader {
            dispatched = message.state
            appliedIndex = max(appliedIndex, message.state.position.index)
            recent.noteAll(upTo: message.state.highestTimestamp)
            closed.note(
                ClosedTimestamp(timestamp: message.state.closed, position: message.state.position),
                applied: appliedIndex)
            closed.advance(to: appliedIndex)
            durableIndex = max(durableIndex, message.state.position.index)
            let metadata = SnapshotMetadata(position: message.state.position, membership: message.state.membership)
            raft.receive(.snapshotInstalled(metadata, from: result.write.from), at: now)
        }
        effects.send(.snapshotReply(.init(stream: message.stream, progress: result.progress)), to: result.write.from)
    }
}
