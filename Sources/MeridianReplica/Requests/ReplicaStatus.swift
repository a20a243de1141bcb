import MeridianCore

/// What one replica says of itself, for whoever changes its range or decides where a lost range goes on.
package struct ReplicaStatus: Hashable, Sendable {
    package var node: NodeID
    package var term: Term
    package var isLeader: Bool
    /// It has left its generation, durably: what it says of its log stays true.
    package var isSealed: Bool
    /// It lost its disk and was not readmitted: it cannot stand for what the range held.
    package var isRecovering: Bool
    /// The members of its descriptor are in force.
    package var hasMembers: Bool
    /// It leads, and the members and the rule of its descriptor are in force, for all that was ever committed.
    package var isSettled: Bool
    /// Of the descriptor that it knows.
    package var revision: UInt32
    /// Where its log ends.
    package var last: LogPosition
    /// Up to where it knows the log to be committed.
    package var committed: LogPosition
    /// As of this time it has all rows that its history ever had.
    package var complete: Timestamp
    /// In force, committed or not.
    package var membership: Membership
}
