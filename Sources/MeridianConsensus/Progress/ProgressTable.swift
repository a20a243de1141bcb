import MeridianCore

/// A leader's view of its whole group: one `Progress` per member, in node order.
///
/// An array and not a dictionary: groups have a handful of members, the order decides in which order messages go
/// out, and a lookup is a few comparisons.
package struct ProgressTable: Sendable {
    package private(set) var members: [Progress] = []

    package init() {}

    package func slot(of node: NodeID) -> Int? { members.firstIndex { $0.node == node } }

    package subscript(slot: Int) -> Progress {
        get { members[slot] }
        _modify { yield &members[slot] }
    }

    package func match(_ node: NodeID) -> LogIndex {
        for member in members where member.node == node { return member.match }
        return .zero
    }

    /// Up to where a node's copies count for commits.
    package func counted(_ node: NodeID) -> LogIndex {
        for member in members where member.node == node { return member.counted }
        return .zero
    }

    /// Whether a member is known to have lost its disk and not to be readmitted.
    package func isRecovering(_ node: NodeID) -> Bool {
        members.contains { $0.node == node && $0.isRecovering }
    }

    package func lastContact(_ node: NodeID) -> Instant {
        for member in members where member.node == node { return member.lastContact }
        return Instant(rawValue: .min)
    }

    package func readRound(_ node: NodeID) -> UInt64 {
        for member in members where member.node == node { return member.readRound }
        return 0
    }

    package func lease(_ node: NodeID) -> Timestamp {
        for member in members where member.node == node { return member.lease ?? Timestamp(rawValue: .min) }
        return Timestamp(rawValue: .min)
    }

    package mutating func touchAll(at instant: Instant) {
        for slot in members.indices { members[slot].lastContact = instant }
    }

    /// Follows a new membership: whoever stays keeps its progress, whoever is new starts as `make` says.
    package mutating func update(to membership: Membership, make: (NodeID, _ isWitness: Bool) -> Progress) {
        var nodes = membership.members
        for old in membership.outgoing where membership[old.node] == nil { nodes.append(old) }
        nodes.sort { $0.node < $1.node }
        members = nodes.map { member in
            let isWitness = member.role == .witness
            guard let slot = slot(of: member.node) else { return make(member.node, isWitness) }
            var kept = members[slot]
            kept.isWitness = isWitness
            return kept
        }
    }
}
