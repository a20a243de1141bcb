import MeridianCore

/// Decides where a range's replicas stand, from the topology and the table's wishes alone (DESIGN §8).
///
/// Every node that plans the same range on the same topology gets the same answer: nothing is random, and equal
/// choices are broken by the range id (`LoadSpread`) or by the topology's order.
///
/// | wish | voters | learners | rule |
/// |---|---|---|---|
/// | zone, synchronous | 3 at home, each in a zone of its own | none | majority |
/// | region, synchronous | 2 at home, 2 in the nearest region, 1 in the next | none | majority |
/// | semi-synchronous *n* | as zone | one each in the nearest *n* + 1 other regions | home majority and *n* regions |
/// | asynchronous | as zone | one each in the nearest 2 other regions | home majority |
/// | active-active | as zone, for each copy | none | majority |
/// | global | as region where three regions allow it, else as zone | one in every other region | as above |
/// | system | one in each of 5, 3 or fewer regions | every other node | majority |
///
/// Why a plain majority serves the region goal: no region has more than two of five voters, or one of three, so a
/// majority always spans two regions and survives the loss of any one. `.regionDiverse` asks for more than a majority
/// and would only tell where one region holds a majority of the voters, a shape that is never planned since losing
/// that region would stop the range. The planner checks the shape instead, once, and commits stay a plain count.
///
/// What it leaves to others: moving replicas one step at a time (consensus), and counting load (the planner of moves).
package struct ReplicaPlanner: Sendable {
    package let topology: Topology

    package init(topology: Topology) { self.topology = topology }

    /// The plan for one range of a table.
    ///
    /// - Parameter home: the home region of the range's rows. Required for `.regionalByRow`; for `.global` the
    ///   primary, by default the central region; for `.regional` the table's own.
    /// - Throws: `MeridianError` with `.unknownRegion` when the home is not in the topology, or
    ///   `.placementImpossible` with what is missing and what to do.
    package func plan(
        _ table: TableDescriptor, home: Region? = nil, range: RangeID
    ) throws(MeridianError) -> ReplicaPlan {
        let home = try homeRegion(of: table, given: home)
        let request = Request(
            table: table, home: home,
            jurisdiction: table.placement == .restricted ? topology.jurisdiction(of: home) : nil,
            spread: LoadSpread(range), isGlobal: table.locality == .global)
        let plan = try members(for: request)
        let residency = Residency(topology: topology)
        for member in plan.members {
            precondition(
                residency.isAllowed(node: member.node, under: plan.jurisdiction),
                "\(member.node) in \(member.region) is planned outside \(plan.jurisdiction?.rawValue ?? "nothing")")
        }
        return plan
    }

    /// The region with the shortest mean round trip to all others; the first in the topology's order of equals.
    package func centralRegion() -> Region {
        func total(_ region: Region) -> Int64 {
            topology.regions.reduce(0) { sum, other in
                other == region ? sum : sum + topology.matrix.roundTripNanoseconds(from: region, to: other)
            }
        }
        var best = (region: topology.regions[0], total: total(topology.regions[0]))
        for region in topology.regions.dropFirst() where total(region) < best.total {
            best = (region, total(region))
        }
        return best.region
    }

    /// What is asked for, with everything resolved that does not depend on distances.
    struct Request {
        var table: TableDescriptor
        var home: Region
        var jurisdiction: Jurisdiction?
        var spread: LoadSpread
        var isGlobal: Bool
    }

    package func homeRegion(of table: TableDescriptor, given: Region?) throws(MeridianError) -> Region {
        let home: Region
        switch table.locality {
        case .regionalByRow, .activeActive:
            guard let given else { preconditionFailure("a range of \(table.name) without the region of its rows") }
            home = given
        case .regional(let region):
            precondition(given == nil || given == region, "\(table.name) is homed in \(region), not in \(given!)")
            home = region
        case .global:
            home = given ?? centralRegion()
        }
        do {
            try topology.require(home)
        } catch {
            throw MeridianError(.unknownRegion, "table \"\(table.name)\": \(error.message)")
        }
        return home
    }

    private func members(for request: Request) throws(MeridianError) -> ReplicaPlan {
        switch request.table.mode {
        case .synchronous:
            return try synchronousPlan(request)
        case .semiSynchronous(let remoteRegions):
            return try semiSynchronousPlan(request, remoteRegions: remoteRegions)
        case .asynchronous:
            return try asynchronousPlan(request)
        }
    }
}
