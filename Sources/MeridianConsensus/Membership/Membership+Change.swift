import MeridianCore

/// The algebra of membership changes (Raft §6, thesis §4.3): which changes are allowed, and through which
/// memberships a group passes on the way.
///
/// Every step keeps two facts: successive configurations have no two disjoint quorums, and the commit rule can be
/// met by the members that are asked. It knows nothing of logs; who is caught up is passed in.
package enum MembershipStep: Hashable, Sendable {
    /// At most one voting node comes or goes, so old and new majorities always intersect: one entry does it.
    case simple(Membership)
    /// Old and new decide together until the entry is committed; the leader then appends `leavingJoint`.
    case joint(Membership)

    package var membership: Membership {
        switch self {
        case .simple(let membership), .joint(let membership): membership
        }
    }
}

/// Why a change is not allowed.
package struct MembershipError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension Membership {
    /// The first step towards the target.
    ///
    /// - Parameter isCaughtUp: whether a learner's log is near enough to the commit index to become a voter.
    /// - Throws: `MembershipError`, with the reason, when the change is not allowed.
    package func step(
        to change: MembershipChange, rule: CommitRule, isCaughtUp: (NodeID) -> Bool
    ) throws(MembershipError) -> MembershipStep {
        guard !isJoint else { throw MembershipError("a joint change is under way") }
        let target = try Self.checked(change.target)
        guard target != self else { throw MembershipError("these are the members already") }
        guard target.members.contains(where: { $0.role == .voter }) else {
            throw MembershipError("a group needs a voter that holds the rows")
        }
        for member in target.members { try checkTransition(of: member, isCaughtUp: isCaughtUp) }
        try target.check(rule)
        let before = Set(votingNodes)
        let after = Set(target.votingNodes)
        if before.symmetricDifference(after).count <= 1 { return .simple(target) }
        return .joint(Membership(members: target.members, outgoing: members.filter { $0.role != .learner }))
    }

    /// The membership that ends joint consensus. Precondition: `isJoint`.
    package var leavingJoint: Membership {
        precondition(isJoint, "only a joint membership can be left")
        return Membership(members: members)
    }

    /// Who votes in the configuration that is in force or being entered.
    package var votingNodes: [NodeID] { members.filter { $0.role != .learner }.map(\.node) }

    /// Whether the node may campaign: it votes, and it holds the rows. In joint consensus a voter of either
    /// configuration may, because either may hold the only replica that is up to date.
    package func canCampaign(_ node: NodeID) -> Bool {
        self[node]?.role == .voter || outgoing.contains { $0.node == node && $0.role == .voter }
    }

    private static func checked(_ target: [Member]) throws(MembershipError) -> Membership {
        let nodes = target.map(\.node).sorted()
        for pair in zip(nodes, nodes.dropFirst()) where pair.0 == pair.1 {
            throw MembershipError("\(pair.0) is named twice")
        }
        return Membership(members: target)
    }

    private func checkTransition(of member: Member, isCaughtUp: (NodeID) -> Bool) throws(MembershipError) {
        switch (self[member.node]?.role, member.role) {
        case (nil, .voter):
            throw MembershipError("\(member.node) must be a learner before it votes")
        case (.learner?, .voter):
            guard isCaughtUp(member.node) else { throw MembershipError("\(member.node) is not caught up yet") }
        case (.witness?, .voter), (.witness?, .learner):
            // Its log lacks the commands, and nothing in the log tells.
            throw MembershipError("\(member.node) is a witness: remove it and add it again, emptied")
        case (.voter?, .witness), (.learner?, .witness):
            throw MembershipError("\(member.node) holds rows: remove it and add it again, emptied, as a witness")
        case (nil, .learner), (nil, .witness), (.voter?, .voter), (.voter?, .learner), (.learner?, .learner),
            (.witness?, .witness):
            break
        }
    }

    /// Whether the commit rule can be met by these members, and finds its voters where it wants them.
    package func check(_ rule: CommitRule) throws(MembershipError) {
        switch rule {
        case .majority, .regionDiverse:
            break
        case .semiSynchronous(let home, _), .asynchronous(let home):
            for member in members where member.role != .learner && member.region != home {
                throw MembershipError("\(member.node) cannot vote from \(member.region): voters stay in \(home)")
            }
        }
        guard CommitQuorum(rule: rule, membership: self).canBeMet else {
            throw MembershipError("the members cover too few regions for the commit rule")
        }
    }
}
