import MeridianCore

/// A commit rule applied to a membership: up to which index entries count as committed (DESIGN §6).
///
/// Promises: whatever the rule, a committed index is held by a quorum of the voters, so elections by plain majority
/// find every committed entry (Leader Completeness, Raft §5.4.3) and a rule can differ between replicas or change
/// between restarts without a safety argument of its own. The rules only ask for more.
///
/// Copies of data: a witness keeps terms and indexes but no commands. It counts for the majority, which protects the
/// order of the log; it does not count as the copy in another region that a rule asks for, which protects the data.
package struct CommitQuorum: Hashable, Sendable {
    package let quorum: JointQuorum
    /// For each configuration that must agree, how many regions of a list must hold a copy.
    private let spreads: [Spread]

    /// `required` of the regions must hold a copy on at least one of their nodes.
    private struct Spread: Hashable, Sendable {
        var required: Int
        var regions: [[NodeID]]

        func index(_ match: (NodeID) -> LogIndex) -> LogIndex {
            guard required > 0 else { return LogIndex(.max) }
            // A region reaches what its farthest node has; the rule reaches what `required` regions have.
            let reached = regions.map { nodes in nodes.map(match).max() ?? .zero }.sorted(by: >)
            return required <= reached.count ? reached[required - 1] : .zero
        }
    }

    package init(rule: CommitRule, membership: Membership) {
        self.quorum = JointQuorum(membership)
        switch rule {
        case .majority, .asynchronous:
            self.spreads = []
        case .regionDiverse(let minimumRegions):
            precondition(minimumRegions > 0, "a quorum cannot span \(minimumRegions) regions")
            let configurations = membership.isJoint ? [membership.members, membership.outgoing] : [membership.members]
            self.spreads = configurations.map { members in
                let copies = members.filter { $0.role == .voter }
                return Spread(required: minimumRegions, regions: Self.byRegion(copies))
            }
        case .semiSynchronous(let home, let remoteRegions):
            precondition(remoteRegions >= 0, "a rule cannot ask for \(remoteRegions) remote regions")
            let copies = membership.members.filter { $0.role != .witness && $0.region != home }
            self.spreads = [Spread(required: remoteRegions, regions: Self.byRegion(copies))]
        }
    }

    /// The highest index that the rule calls committed, given how far each node's durable log agrees.
    package func index(_ match: (NodeID) -> LogIndex) -> LogIndex {
        var index = quorum.highestReached(floor: LogIndex.zero, match)
        for spread in spreads { index = min(index, spread.index(match)) }
        return index
    }

    /// Whether the rule can be met at all when every member answers. A change of members must not give this up.
    package var canBeMet: Bool {
        !quorum.incoming.voters.isEmpty && spreads.allSatisfy { $0.required <= $0.regions.count }
    }

    private static func byRegion(_ members: [Member]) -> [[NodeID]] {
        let regions = Set(members.map(\.region)).sorted()
        return regions.map { region in members.filter { $0.region == region }.map(\.node) }
    }
}
