import MeridianCore

/// The quorums of a membership, which in joint consensus are majorities of the old and of the new configuration
/// at once (Raft §6). With no old configuration it is the plain majority.
///
/// Promises: a joint quorum intersects every quorum of either configuration, so a group can pass from one to the
/// other without a moment in which two disjoint quorums decide.
package struct JointQuorum: Hashable, Sendable {
    package let incoming: MajorityQuorum
    /// The configuration that is being left; `nil` outside joint consensus, and then it constrains nothing.
    package let outgoing: MajorityQuorum?

    package init(incoming: MajorityQuorum, outgoing: MajorityQuorum? = nil) {
        self.incoming = incoming
        self.outgoing = outgoing
    }

    /// Voters and witnesses vote; learners do not.
    package init(_ membership: Membership) {
        let incoming = MajorityQuorum(voters: membership.members.filter { $0.role != .learner }.map(\.node))
        let outgoing = membership.outgoing.isEmpty ? nil : MajorityQuorum(voters: membership.outgoing.map(\.node))
        self.init(incoming: incoming, outgoing: outgoing)
    }

    package func voteResult(_ vote: (NodeID) -> Bool?) -> VoteResult {
        let first = incoming.voteResult(vote)
        guard let outgoing else { return first }
        switch (first, outgoing.voteResult(vote)) {
        case (.won, .won): return .won
        case (.lost, _), (_, .lost): return .lost
        default: return .pending
        }
    }

    /// The highest value that a quorum has reached: in joint consensus, that both halves have.
    package func highestReached<Value: Comparable>(floor: Value, _ value: (NodeID) -> Value) -> Value {
        let first = incoming.highestReached(floor: floor, value)
        guard let outgoing else { return first }
        return min(first, outgoing.highestReached(floor: floor, value))
    }
}

extension JointQuorum {
    /// Everybody whose vote counts, in node order.
    package var voters: [NodeID] {
        guard let outgoing else { return incoming.voters }
        return (incoming.voters + outgoing.voters.filter { !incoming.voters.contains($0) }).sorted()
    }
}
