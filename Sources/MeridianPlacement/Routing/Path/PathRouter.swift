import MeridianCore

/// Anycast: every region announces the same address, and each network forwards along the shortest path that it knows
/// of, counted in networks and not in milliseconds (BGP, RFC 4271).
///
/// When a region dies its announcement is withdrawn, and the networks hear of it one after the other; until then they
/// forward to a region that is gone, or to each other in a circle, and packets are lost. RFC 4271 has a network wait up
/// to 30 s between two messages on the same route (MinRouteAdvertisementInterval) and 90 s before a silent neighbour is
/// given up. Withdrawals were seen to take some three minutes (Labovitz et al. 2000); operators see from seconds to
/// many minutes today.
///
/// Nobody remembers connections: when a path changes and ends in another region, that region knows nothing of what was
/// open, and answers with a reset.
package struct PathRouter: Sendable {
    package struct Timing: Hashable, Sendable {
        /// From a region's death to the moment at which its own network withdraws the announcement.
        package var detectionNanoseconds: Int64
        /// What each network waits before it passes news on: between these, drawn for each link and each change.
        package var fastestHopNanoseconds: Int64
        package var slowestHopNanoseconds: Int64

        package init(
            detectionNanoseconds: Int64 = 3_000_000_000, fastestHopNanoseconds: Int64 = 100_000_000,
            slowestHopNanoseconds: Int64 = 30_000_000_000
        ) {
            precondition(
                0 <= fastestHopNanoseconds && fastestHopNanoseconds <= slowestHopNanoseconds,
                "hops of \(fastestHopNanoseconds) to \(slowestHopNanoseconds) ns")
            self.detectionNanoseconds = detectionNanoseconds
            self.fastestHopNanoseconds = fastestHopNanoseconds
            self.slowestHopNanoseconds = slowestHopNanoseconds
        }
    }

    /// What a network believes of a region from some moment on.
    private struct Belief: Hashable, Sendable {
        var since: Instant
        var isAnnounced: Bool
    }

    private struct Origin: Sendable {
        let region: Region
        let network: NetworkGraph.Network
        var costs: [Int?]
        /// By network, in the order of time.
        var beliefs: [[Belief]]

        func isAnnounced(to network: NetworkGraph.Network, at now: Instant) -> Bool {
            beliefs[network].last { $0.since <= now }?.isAnnounced ?? true
        }
    }

    package let timing: Timing
    package private(set) var graph: NetworkGraph
    private var origins: [Origin]

    /// Preconditions: there is an origin, and each is a network of the graph.
    package init(
        graph: NetworkGraph, origins: [(region: Region, network: NetworkGraph.Network)], timing: Timing = Timing()
    ) {
        precondition(!origins.isEmpty, "nobody announces the address")
        self.timing = timing
        self.graph = graph
        self.origins = origins.map { region, network in
            Origin(
                region: region, network: network, costs: graph.costs(to: network),
                beliefs: Array(repeating: [], count: graph.count))
        }
    }

    /// Where a packet arrives that a network forwards now; `nil` when it goes round in a circle or nobody knows a way.
    /// Whether the region there lives is the caller's to know.
    package func destination(from network: NetworkGraph.Network, at now: Instant) -> Region? {
        var place = network
        for _ in 0...graph.count {
            guard let chosen = choice(at: place, now) else { return nil }
            guard chosen.network != place else { return chosen.region }
            guard let next = nextHop(from: place, to: chosen) else { return nil }
            place = next
        }
        return nil
    }

    /// A region died, or is about to stop in good order: its announcement goes.
    /// - Parameter random: draws how long the news takes on each link.
    /// - Returns: when the last network has heard of it.
    @discardableResult
    package mutating func withdraw(_ region: Region, at now: Instant, using random: inout SplitMix64) -> Instant {
        spread(false, of: region, from: now.advanced(byNanoseconds: timing.detectionNanoseconds), &random)
    }

    /// A region is back, and announces the address again.
    @discardableResult
    package mutating func announce(_ region: Region, at now: Instant, using random: inout SplitMix64) -> Instant {
        spread(true, of: region, from: now, &random)
    }

    /// A link goes down or comes back: all paths over it change at once. What matters here is where connections end
    /// afterwards, not the seconds in between.
    package mutating func setLink(_ one: NetworkGraph.Network, _ other: NetworkGraph.Network, isUp: Bool) {
        graph.set(one, other, isUp: isUp)
        for position in origins.indices { origins[position].costs = graph.costs(to: origins[position].network) }
    }

    private mutating func spread(
        _ isAnnounced: Bool, of region: Region, from start: Instant, _ random: inout SplitMix64
    ) -> Instant {
        guard let position = origins.firstIndex(where: { $0.region == region }) else {
            preconditionFailure("no region \(region) among \(origins.map(\.region))")
        }
        let spread = UInt64(timing.slowestHopNanoseconds - timing.fastestHopNanoseconds) + 1
        let delays = graph.distances(from: origins[position].network) { _, link in
            link.cost == NetworkGraph.internalCost
                ? timing.fastestHopNanoseconds : timing.fastestHopNanoseconds + Int64(random.below(spread))
        }
        var last = start
        for (network, delay) in delays.enumerated() {
            guard let delay else { continue }
            // News on one route do not overtake each other.
            let earliest = origins[position].beliefs[network].last?.since ?? start
            let heard = max(earliest, start.advanced(byNanoseconds: delay))
            origins[position].beliefs[network].append(Belief(since: heard, isAnnounced: isAnnounced))
            last = max(last, heard)
        }
        return last
    }

    /// The nearest origin that a network knows of; the first of equals, as lowest router numbers go first in BGP.
    private func choice(at network: NetworkGraph.Network, _ now: Instant) -> Origin? {
        var best: (origin: Int, cost: Int)?
        for (position, origin) in origins.enumerated() {
            guard let cost = origin.costs[network], cost < best?.cost ?? .max,
                origin.isAnnounced(to: network, at: now)
            else { continue }
            best = (position, cost)
        }
        return best.map { origins[$0.origin] }
    }

    private func nextHop(from network: NetworkGraph.Network, to origin: Origin) -> NetworkGraph.Network? {
        guard let cost = origin.costs[network] else { return nil }
        return graph.links[network].first { link in
            graph.isUp(network, link.to) && origin.costs[link.to] == cost - link.cost
        }?.to
    }
}
