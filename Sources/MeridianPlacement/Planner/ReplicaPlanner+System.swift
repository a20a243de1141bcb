import MeridianCore

/// The range that holds the cluster's own records: tables, the bounds of ranges, nodes. Every node reads it locally,
/// so every node has a replica; it must outlive any region that a table outlives.
///
/// Unlike the published failure in which two of four regions held all five of a database's own replicas (cockroach
/// #168436), its voters stand in as many regions as an odd number allows.
extension ReplicaPlanner {
    /// Voters around `home` (by default the central region): one in each of five regions, or of three when there are
    /// fewer than five; with two regions 2-1 (which survives a node, and the loss of the smaller side); with one
    /// region as the zone goal has it. Learners on every other node. Nothing restricts it: it holds no rows of users.
    ///
    /// - Throws: `MeridianError` with `.unknownRegion` when the home is not in the topology.
    package func systemPlan(home: Region? = nil, range: RangeID) throws(MeridianError) -> ReplicaPlan {
        let home = home ?? centralRegion()
        try topology.require(home)
        let table = TableDescriptor(id: .system, name: "system", locality: .global)
        let request = Request(
            table: table, home: home, jurisdiction: nil, spread: LoadSpread(range), isGlobal: true)
        let shape = systemShape(request)
        let voters = shape.voters.map(\.id)
        return ReplicaPlan(
            home: home,
            members: topology.nodes.map { node in
                Member(node: node.id, region: node.region, role: voters.contains(node.id) ? .voter : .learner)
            },
            commitRule: .majority, preferredLeaders: voters, jurisdiction: nil, shortfall: shape.shortfall)
    }

    private func systemShape(_ request: Request) -> Shape {
        let regions = allowedRegions(request)
        switch regions.count {
        case 1:
            return zoneShape(request)
        case 2:
            return twoRegionShape(request, regions[0], regions[1])
        default:
            let count = regions.count >= 5 ? 5 : 3
            return Shape(voters: regions.prefix(count).map { candidates(in: $0, request)[0] })
        }
    }

    /// 2-1 with the pair at home if it has two nodes, else in the other region; one voter if neither has.
    private func twoRegionShape(_ request: Request, _ home: Region, _ other: Region) -> Shape {
        let near = candidates(in: home, request)
        let far = candidates(in: other, request)
        guard near.count > 1 || far.count > 1 else {
            return Shape(
                voters: [near[0]],
                shortfall: "regions \(home) and \(other) have one node each, so the loss of the one that votes stops "
                    + "the system range; add a node")
        }
        let pair = near.count > 1 ? home : other
        let voters = near.count > 1 ? near.prefix(2) + far.prefix(1) : near.prefix(1) + far.prefix(2)
        return Shape(
            voters: Array(voters),
            shortfall: "with two regions the loss of \(pair) stops the system range; add nodes in a third region")
    }
}
