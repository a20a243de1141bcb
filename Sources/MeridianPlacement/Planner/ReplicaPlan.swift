import MeridianCore

/// Where a range's replicas go, when it commits and who should lead it: what the planner hands out.
package struct ReplicaPlan: Hashable, Sendable {
    package let home: Region
    /// Sorted by node.
    package let members: [Member]
    package let commitRule: CommitRule
    /// Every voter: those at home first, in an order that varies with the range, then the others by distance.
    package let preferredLeaders: [NodeID]
    /// The law that the range must stay under; `nil` when unrestricted.
    package let jurisdiction: Jurisdiction?
    /// What the zone goal lacks here, and what to add; `nil` when the goal is met. A region goal is met or refused.
    package let shortfall: String?

    /// Preconditions: there is a voter, and no voter is missing from the preferred leaders.
    init(
        home: Region, members: [Member], commitRule: CommitRule, preferredLeaders: [NodeID],
        jurisdiction: Jurisdiction?, shortfall: String?
    ) {
        let voters = members.filter { $0.role == .voter }
        precondition(!voters.isEmpty, "a plan without voters, home \(home)")
        precondition(
            voters.map(\.node).sorted() == preferredLeaders.sorted(),
            "voters \(voters.map(\.node)) but leaders \(preferredLeaders)")
        self.home = home
        self.members = Membership(members: members).members
        self.commitRule = commitRule
        self.preferredLeaders = preferredLeaders
        self.jurisdiction = jurisdiction
        self.shortfall = shortfall
    }

    package var voters: [Member] { members.filter { $0.role == .voter } }
    package var learners: [Member] { members.filter { $0.role == .learner } }

    /// The round trip that a commit led by the first preferred leader cannot beat.
    package func quorumRoundTripNanoseconds(_ matrix: LatencyMatrix) -> Int64? {
        MeridianPlacement.quorumRoundTripNanoseconds(
            leader: preferredLeaders[0], members: members, rule: commitRule, matrix: matrix)
    }
}
