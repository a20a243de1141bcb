import DequeModule
import MeridianCore

/// What a leader keeps in memory for its term, and loses with it.
struct Leadership: Sendable {
    var progress = ProgressTable()
    /// The empty entry that opened the term. Once it is committed, so is everything before it (Raft §8).
    var termStart: LogIndex = LogIndex(.max)

    /// The readmissions that this leader proposed, the last of each life.
    var readmissions: [Readmission] = []

    /// Proposals in the log that are not yet committed, in index order.
    var proposals: Deque<PendingProposal> = []
    /// The change of members whose joint entry is in the log; its outcome is that of the entry that leaves it.
    var jointChange: ProposalID?

    var heartbeatDeadline: Instant = .zero
    /// The next flush sends heartbeats.
    var isHeartbeatDue = false

    /// Reads that have no round yet, because the next flush starts one or nothing of this term is committed.
    var newReads: [ReadID] = []
    var reads: Deque<PendingRead> = []
    /// The last round of ReadIndex confirmation; only grows within a leadership.
    var readRound: UInt64 = 0

    var transfer: Transfer?
    /// A successor was told to campaign past all promises. Until the term ends nobody can know that it will not, so
    /// this term has no leases any more (see `Raft+Transfer.swift`).
    var areLeasesOver = false
    /// Removed or demoted by a committed change: it takes nothing more, hands over, and steps down.
    var isResigning = false
    /// Until when it waits for a successor to have the whole log.
    var resignDeadline: Instant?

    /// When there last was something to do (quiescence).
    var lastActivity: Instant = .zero

    struct PendingProposal: Sendable {
        var index: LogIndex
        var id: ProposalID
    }

    struct PendingRead: Sendable {
        var id: ReadID
        var round: UInt64
        var index: LogIndex
    }

    struct Readmission: Sendable {
        var node: NodeID
        var incarnation: Incarnation
        var index: LogIndex
        var proposed: Instant
    }

    struct Transfer: Sendable {
        var target: NodeID
        var deadline: Instant
        var isSent = false
    }
}
