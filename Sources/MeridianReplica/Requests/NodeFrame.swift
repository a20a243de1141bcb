import MeridianConsensus
import MeridianCore

/// What one node sends another in one go: the messages of all ranges that they share.
package struct NodeFrame: Sendable {
    package var from: NodeID
    package var to: NodeID
    /// The sender's clock when it sent the frame; absent from a frame that had to wait for a disk.
    package var clock: ClockInterval?
    /// The sender's instant when it sent the frame, or made it, when it had to wait for a disk.
    package var sent: Instant
    /// Which frame of the receiver's the sender heard last.
    package var echo: FrameEcho?
    package var messages: [NodeMessage]
    /// The sender cannot write at present: nobody should make it a leader.
    package var isReadOnly: Bool

    package init(
        from: NodeID, to: NodeID, clock: ClockInterval?, sent: Instant, echo: FrameEcho? = nil,
        messages: [NodeMessage], isReadOnly: Bool = false
    ) {
        self.sent = sent
        self.echo = echo
        self.isReadOnly = isReadOnly
        self.from = from
        self.to = to
        self.clock = clock
        self.messages = messages
    }
}

/// Names the last frame that came the other way, so that its sender can tell how long an answer was on its way without
/// any promise about the network.
package struct FrameEcho: Hashable, Sendable {
    /// The `sent` of that frame: an instant of its sender.
    package var sent: Instant
    /// How long ago it came when this frame was sent, by the clock of whoever heard it.
    package var heldNanoseconds: Int64

    package init(sent: Instant, heldNanoseconds: Int64) {
        self.sent = sent
        self.heldNanoseconds = heldNanoseconds
    }
}

package enum NodeMessage: Sendable {
    case raft(RangeID, RaftMessage)
    case request(RangeRequest)
    case reply(RangeReply)
    case snapshotChunk(SnapshotChunkMessage)
    case snapshotReply(SnapshotReplyMessage)
}

/// Names one attempt to send a snapshot, so that chunks of two attempts never mix.
package struct SnapshotStreamID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

package struct SnapshotChunkMessage: Sendable {
    package var range: RangeID
    package var stream: SnapshotStreamID
    package var term: Term
    /// What the whole snapshot contains.
    package var state: AppliedState
    package var chunk: SnapshotChunk

    package init(range: RangeID, stream: SnapshotStreamID, term: Term, state: AppliedState, chunk: SnapshotChunk) {
        self.range = range
        self.stream = stream
        self.term = term
        self.state = state
        self.chunk = chunk
    }
}

package struct SnapshotReplyMessage: Sendable {
    package enum Progress: Hashable, Sendable {
        case wants(offset: Int)
        case installed(LogIndex)
        case failed
    }

    package var range: RangeID
    package var stream: SnapshotStreamID
    package var progress: Progress

    package init(range: RangeID, stream: SnapshotStreamID, progress: Progress) {
        self.range = range
        self.stream = stream
        self.progress = progress
    }
}
