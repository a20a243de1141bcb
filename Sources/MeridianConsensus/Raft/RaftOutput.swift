import MeridianCore

/// What the shell must do after a step. Order matters only where a field says so.
package struct RaftOutput: Sendable {
    /// What must become durable, and the messages that wait for it.
    package var persist: PersistJob?
    /// To be sent at once.
    package var messages: [RaftMessage] = []
    /// Newly committed entries, in order, to be applied; none is given twice.
    package var committed: [Entry] = []
    package var outcomes: [ProposalOutcome] = []
    package var reads: [ReadOutcome] = []
    /// Followers that need a snapshot. Each is named once until `RaftInput.snapshotSent` answers for it.
    package var snapshotsWanted: [NodeID] = []
    /// Set when this replica began or ceased to lead, or learned of another leader or term.
    package var leadershipChanged = false

    package init() {}

    package var isEmpty: Bool {
        persist == nil && messages.isEmpty && committed.isEmpty && outcomes.isEmpty && reads.isEmpty
            && snapshotsWanted.isEmpty && !leadershipChanged
    }
}

/// A write to the log store. Jobs of one replica must be made durable in order; several may be under way at once.
package struct PersistJob: Sendable {
    package var token: PersistToken
    package var hardState: HardState?
    /// Start the log again after this position (a snapshot was installed).
    package var reset: LogPosition?
    /// Contiguous; they replace everything from the first one's index on.
    package var entries: [Entry] = []
    /// To be sent when the job is durable, not before (votes and acknowledgements).
    package var messagesAfter: [RaftMessage] = []

    package init(token: PersistToken) { self.token = token }
}

/// The one answer that every proposal gets.
package struct ProposalOutcome: Hashable, Sendable {
    package enum Result: Hashable, Sendable {
        /// Appended to this leader's log; a second outcome follows.
        case appended(LogPosition)
        case committed(LogPosition)
        /// It did not enter the log, or another leader's entry took its place: it never takes effect.
        case rejected(RejectionReason)
        /// This replica lost the leadership and cannot tell; the log will.
        case unknown
    }

    package var id: ProposalID
    package var result: Result

    package init(id: ProposalID, result: Result) {
        self.id = id
        self.result = result
    }
}

package enum RejectionReason: Hashable, Sendable {
    case notLeader(leader: NodeID?)
    /// The leadership is being handed over.
    case transferring(to: NodeID)
    case tooManyUncommittedBytes
    /// Another change of members is under way, or this one is not allowed; the text says why.
    case membership(String)
    /// Another leader's entry took the place in the log.
    case replaced
}

package struct ReadOutcome: Hashable, Sendable {
    package enum Result: Hashable, Sendable {
        /// The read may be served once this index is applied.
        case confirmed(LogIndex)
        case rejected(leader: NodeID?)
    }

    package var id: ReadID
    package var result: Result

    package init(id: ReadID, result: Result) {
        self.id = id
        self.result = result
    }
}
