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
    /// From a leaseholder to its followers.
    case closed(RangeID, ClosedTimestamp)
    case quiet(QuietRanges)
    case quietReply(QuietRangesReply)
    case request(RangeRequest)
    case reply(RangeReply)
    case snapshotChunk(SnapshotChunkMessage)
    case snapshotReply(SnapshotReplyMessage)
    /// An older transaction waits for this one, which the receiver coordinates.
    case wound(TransactionID)
    /// To a leader: what the sender's rows add up to. The term is the sender's.
    case digest(DigestReport, Term)
    /// From a leader: what the receiver has said at this index is not what a quorum says without it.
    case diverged(RangeID, at: LogIndex, Term)
}

/// Names one attempt to send a snapshot, so that chunks of two attempts never mix, nor an answer to one is taken for an
/// answer to another.
///
/// A term of a range has one leader, which numbers its streams: no two are alike, whichever process sends them.
/// HAZARD: a number alone is not enough. It begins again with the process, and a receiver that still had the first
/// chunks of stream 1 would go on with those of the next process's stream 1.
package struct SnapshotStreamID: Hashable, Sendable {
    package let range: RangeID
    package let term: Term
    package let number: UInt64

    package init(range: RangeID, term: Term, number: UInt64) {
        self.range = range
        self.term = term
        self.number = number
    }
}

package struct SnapshotChunkMessage: Sendable {
    package var stream: SnapshotStreamID
    /// What the whole snapshot contains.
    package var state: AppliedState
    package var chunk: SnapshotChunk

    package var range: RangeID { stream.range }

    package init(stream: SnapshotStreamID, state: AppliedState, chunk: SnapshotChunk) {
        self.stream = stream
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

    package var stream: SnapshotStreamID
    package var progress: Progress

    package var range: RangeID { stream.range }

    package init(stream: SnapshotStreamID, progress: Progress) {
        self.stream = stream
        self.progress = progress
    }
}
