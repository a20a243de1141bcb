import MeridianCore

/// Everything that can happen to a replica.
package enum RaftInput: Sendable {
    /// Time has passed. Due at `Raft.nextDeadline`; earlier or later is harmless.
    case tick
    case message(RaftMessage)
    /// Append these, if this replica leads. Each ends in exactly one `ProposalOutcome`.
    case propose([Proposal])
    /// Append what the host needs for its own upkeep, if this replica leads. It keeps no group from falling silent, and
    /// nobody hears what has become of it: the host sees whether it is applied.
    case upkeep(EntryPayload)
    /// Start the given change of members, if this replica leads.
    case changeMembership(MembershipChange, ProposalID)
    /// Tell at which index a linearizable read may be served (ReadIndex, Raft thesis §6.4).
    case readIndex(ReadID)
    /// A `PersistJob` is durable.
    case persisted(PersistToken)
    /// Entries up to here are applied by the state machine.
    case applied(LogIndex)
    /// Forget entries up to here; they are applied and durable in the state store.
    case compact(LogIndex)
    /// Hand the leadership over. Ignored by a replica that does not lead.
    case transferLeadership(to: NodeID)
    /// Campaign now, without waiting for the election timeout (but not against a promise).
    case campaign
    /// A snapshot that this leader was asked to send ended.
    case snapshotSent(to: NodeID, SnapshotResult)
    /// A snapshot was installed durably in the state store; the log starts again after it.
    case snapshotInstalled(SnapshotMetadata, from: NodeID)
    /// Nothing goes to this node at present: stop streaming to it and probe.
    case unreachable(NodeID)
    /// Leave quiescence: heartbeats and election timers run again.
    case wake
}

/// A name that the caller gives a proposal; the core only hands it back.
package struct ProposalID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

package struct Proposal: Sendable {
    package var id: ProposalID
    package var payload: EntryPayload

    package init(id: ProposalID, payload: EntryPayload) {
        self.id = id
        self.payload = payload
    }
}

/// A fresh id per attempt: an id that is used again could take an old confirmation for a new one.
package struct ReadID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a `PersistJob`. Tokens of one replica increase; confirming one confirms all before it.
package struct PersistToken: RawRepresentable, Hashable, Comparable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (lhs: PersistToken, rhs: PersistToken) -> Bool { lhs.rawValue < rhs.rawValue }
}

package enum SnapshotResult: Hashable, Sendable {
    /// The follower has installed the snapshot, which ends at this index.
    case installed(LogIndex)
    case failed
}

/// What a snapshot stands for in the log.
package struct SnapshotMetadata: Hashable, Sendable {
    package var position: LogPosition
    package var membership: Membership

    package init(position: LogPosition, membership: Membership) {
        self.position = position
        self.membership = membership
    }
}
