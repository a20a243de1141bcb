import MeridianCore

/// How voters stand: in the zones of one region, or over regions.
extension ReplicaPlanner {
    /// Voters in the order in which they should lead, and learners that the shape itself wants.
    struct Shape {
        var voters: [NodeDescriptor]
        var learners: [NodeDescriptor] = []
        var shortfall: String?
    }

    /// Three voters in three zones of the home region, where it has them.
    ///
    /// A region of two nodes gets one voter and a learner: two voters would stop at the loss of either, one voter
    /// stops only with its own, and the learner holds the rows. A single node is a single voter. Fewer zones than
    /// three survive the loss of a node but not of every zone. All of these are told in `shortfall`. More than three
    /// zones change only which three a range takes: five voters would wait for a third copy on every commit.
    func zoneShape(_ request: Request) -> Shape {
        let nodes = candidates(in: request.home, request)
        switch nodes.count {
        case 1:
            return Shape(
                voters: nodes,
                shortfall: "region \(request.home) has one node, so its loss stops the table; add nodes in two zones")
        case 2:
            return Shape(
                voters: [nodes[0]], learners: [nodes[1]],
                shortfall: "region \(request.home) has two nodes, so the loss of the one that votes stops the table; "
                    + "add a node in a third zone")
        default:
            let voters = Array(nodes.prefix(3))
            let zones = Set(voters.map(\.zone)).count
            let shortfall =
                "region \(request.home) has \(zones) of the three zones that the zone goal needs; add nodes in others"
            return Shape(voters: voters, shortfall: zones == 3 ? nil : shortfall)
        }
    }

    /// Five voters over at least three regions with at most two in each, or three voters in three regions.
    ///
    /// The nearest regions get the voters, two each while they last: 2-2-1 where the two nearest have two nodes. Five
    /// voters survive the loss of a region and of a node at once, so they are taken unless single-node regions
    /// would make their quorum reach farther than that of three. Returns `nil` with fewer than three regions.
    func regionShape(_ request: Request) -> Shape? {
        let regions = allowedRegions(request)
        guard regions.count >= 3 else { return nil }
        let three = regions.prefix(3).map { candidates(in: $0, request)[0] }
        var five: [NodeDescriptor] = []
        for region in regions where five.count < 5 {
            five += candidates(in: region, request).prefix(min(2, 5 - five.count))
        }
        let voters = five.count == 5 && majorityDistance(five) <= majorityDistance(three) ? five : three
        for region in regions {
            let votes = voters.count { $0.region == region }
            precondition(votes * 2 < voters.count, "\(region) holds \(votes) of \(voters.count) votes")
        }
        return Shape(voters: voters)
    }

    /// The regions that replicas may stand in, the home first, the others by distance from it.
    func allowedRegions(_ request: Request) -> [Region] {
        topology.regionsByDistance(from: request.home).filter { region in
            Planted.isOn(.pinIgnored) || request.jurisdiction.map { topology.jurisdiction(of: region) == $0 } ?? true
        }
    }

    /// A region's nodes in the order in which the range wants them. Never empty.
    func candidates(in region: Region, _ request: Request) -> [NodeDescriptor] {
        request.spread.order(topology.nodes(in: region))
    }

    private func majorityDistance(_ voters: [NodeDescriptor]) -> Int64 {
        let members = voters.map { Member(node: $0.id, region: $0.region, role: .voter) }
        let distance = quorumRoundTripNanoseconds(
            leader: voters[0].id, members: members, rule: .majority, matrix: topology.matrix)
        guard let distance else { preconditionFailure("no majority among \(voters.map(\.id))") }
        return distance
    }
}
