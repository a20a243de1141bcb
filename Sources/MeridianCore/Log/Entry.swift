/// One entry of a range's Raft log.
package struct Entry: Hashable, Sendable {
    package var term: Term
    package var index: LogIndex
    package var payload: EntryPayload

    package init(term: Term, index: LogIndex, payload: EntryPayload) {
        self.term = term
        self.index = index
        self.payload = payload
    }

    package var position: LogPosition { LogPosition(term: term, index: index) }
    package var byteCount: Int { 24 + payload.byteCount }
}

package enum EntryPayload: Hashable, Sendable {
    /// The entry with which a leader opens its term (Raft §8), and what a witness keeps instead of a command.
    case empty
    /// A change of the group's members, in force from the moment it is appended (Raft §6).
    case membership(Membership)
    case command(Command)
    /// The member lost its disk, and may vote again in this life once the entry is committed without its help
    /// (`MeridianConsensus/Membership/Raft+Readmission.swift`).
    case readmission(NodeID, Incarnation)
    /// From here on the versions that only reads below this timestamp can see may go, and no replica serves such a read
    /// (`AppliedState.threshold`).
    case collect(below: Timestamp)
    /// Each replica says here what its rows add up to, and the leader compares (`RangeDigest`).
    case compare

    package var byteCount: Int {
        switch self {
        case .empty, .compare: 0
        case .membership(let membership): 16 * membership.members.count
        case .command(let command): command.byteCount
        case .readmission: 16
        case .collect: 8
        }
    }
}

/// The term and index of an entry, which together name the whole log up to it (Log Matching, Raft §5.3).
package struct LogPosition: Hashable, Sendable, Comparable, CustomStringConvertible {
    package var term: Term
    package var index: LogIndex

    package init(term: Term, index: LogIndex) {
        self.term = term
        self.index = index
    }

    package static let zero = LogPosition(term: .zero, index: .zero)

    /// "More up to date" (Raft §5.4.1): the later term wins, then the longer log.
    package static func < (lhs: LogPosition, rhs: LogPosition) -> Bool {
        (lhs.term, lhs.index) < (rhs.term, rhs.index)
    }

    package var description: String { "\(index)/\(term)" }
}

/// What a replica must remember besides its log before it answers anyone (Raft figure 2, "persistent state").
package struct HardState: Hashable, Sendable {
    package var term: Term
    package var vote: NodeID?
    /// A hint that saves work after a restart; it need not be durable at the moment it is sent.
    package var commit: LogIndex
    /// The replica's present life.
    package var incarnation: Incarnation
    /// The replica lost its disk and was not readmitted since: what it promised in earlier lives is not known.
    package var isRecovering: Bool
    /// Up to here an earlier log of the replica went, which it has let go of since. It may have acknowledged all of it,
    /// so it votes for nobody who has less (`MeridianReplica/NodeCore/NodeCore+Departures.swift`).
    package var floor: LogPosition
    /// The replica is leaving: what the state store has of the range is of no use any more, and goes before anything
    /// else happens to it.
    package var isDeparting: Bool

    package init(
        term: Term = .zero, vote: NodeID? = nil, commit: LogIndex = .zero, incarnation: Incarnation = .first,
        isRecovering: Bool = false, floor: LogPosition = .zero, isDeparting: Bool = false
    ) {
        precondition(!isRecovering || incarnation != .first, "a first life has lost nothing to recover")
        self.term = term
        self.vote = vote
        self.commit = commit
        self.incarnation = incarnation
        self.isRecovering = isRecovering
        self.floor = floor
        self.isDeparting = isDeparting
    }

    /// What a replica knows that begins anew, although it remembers its life so far: what it has or has had is not to
    /// be relied upon. The number need not be drawn, since no life that was forgotten comes between these two.
    package var nextLife: HardState {
        HardState(
            term: term, vote: vote, incarnation: incarnation.next, isRecovering: true, floor: floor,
            isDeparting: isDeparting)
    }

    /// What a replica knows that begins anew after it lost its disk.
    package static func recovering(_ incarnation: Incarnation) -> HardState {
        HardState(incarnation: incarnation, isRecovering: true)
    }
}
