/// What a replica does in its group.
package enum ReplicaRole: UInt8, Hashable, Sendable, CaseIterable {
    /// Votes, counts for commits, holds the rows.
    case voter = 0
    /// Receives the log, neither votes nor counts for the majority.
    case learner = 1
    /// Votes and counts for commits, keeps terms and indexes but no commands and no rows; never leads.
    case witness = 2
}

/// One replica of a group: where it lies and what it does.
package struct Member: Hashable, Sendable {
    package var node: NodeID
    package var region: Region
    package var role: ReplicaRole

    package init(node: NodeID, region: Region, role: ReplicaRole) {
        self.node = node
        self.region = region
        self.role = role
    }
}

/// The members of a group at one point of its log, possibly between two configurations (joint consensus, Raft §6).
///
/// Invariants: `members` is sorted by node and names each node once; `outgoing` is empty, or holds the nodes that
/// vote in the old configuration, sorted. While it is not empty, elections and commits need a quorum of both.
package struct Membership: Hashable, Sendable {
    /// The configuration that is in force, or that is being entered while `isJoint`.
    package private(set) var members: [Member]
    /// The voting nodes (voters and witnesses) of the configuration that is being left.
    package private(set) var outgoing: [Member]

    package init(members: [Member], outgoing: [Member] = []) {
        self.members = members.sorted { $0.node < $1.node }
        self.outgoing = outgoing.sorted { $0.node < $1.node }
        for pair in zip(self.members, self.members.dropFirst()) {
            precondition(pair.0.node != pair.1.node, "node \(pair.0.node) twice in a membership")
        }
        for member in outgoing { precondition(member.role != .learner, "outgoing \(member.node) cannot vote") }
    }

    package var isJoint: Bool { !outgoing.isEmpty }
    package subscript(node: NodeID) -> Member? { members.first { $0.node == node } }
}
