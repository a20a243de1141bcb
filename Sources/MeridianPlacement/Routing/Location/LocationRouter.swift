import MeridianCore

/// GeoDNS: a name server that answers each question with the region nearest to whoever seems to ask, among those that
/// its health checks call healthy.
///
/// It does not see the client but the resolver that asks for it, and where that stands; with EDNS client subnet
/// (RFC 7871) it sees the client's network. It knows nothing of latency. What it has answered it cannot take back:
/// a change reaches a client when the copies in its resolver and in itself have run out (`NameResolver`,
/// `CachedAnswer`).
package struct LocationRouter: Sendable {
    package struct Question: Hashable, Sendable {
        package var resolver: Coordinates
        /// Of the client's network, where the resolver sends it.
        package var clientSubnet: Coordinates?

        package init(resolver: Coordinates, clientSubnet: Coordinates? = nil) {
            self.resolver = resolver
            self.clientSubnet = clientSubnet
        }
    }

    package struct Answer: Hashable, Sendable {
        package var region: Region
        package var timeToLiveNanoseconds: Int64
        /// Whether it is meant for the subnet alone, so that a resolver must not give it to others (RFC 7871 §7.3).
        package var isForSubnet: Bool

        package init(region: Region, timeToLiveNanoseconds: Int64, isForSubnet: Bool) {
            self.region = region
            self.timeToLiveNanoseconds = timeToLiveNanoseconds
            self.isForSubnet = isForSubnet
        }
    }

    package let sites: [RegionSite]
    /// AWS asks for 60 s or less where health checks decide.
    package let timeToLiveNanoseconds: Int64
    private var health: [ConsecutiveHealth]

    /// Precondition: there is a site.
    package init(
        sites: [RegionSite], timeToLiveNanoseconds: Int64 = 60_000_000_000,
        health: ConsecutiveHealth = ConsecutiveHealth()
    ) {
        precondition(!sites.isEmpty, "a router without regions")
        precondition(timeToLiveNanoseconds >= 0, "a time to live of \(timeToLiveNanoseconds) ns")
        self.sites = sites
        self.timeToLiveNanoseconds = timeToLiveNanoseconds
        self.health = Array(repeating: health, count: sites.count)
    }

    /// A health check has ended.
    /// - Returns: whether answers change by it.
    @discardableResult
    package mutating func noteCheck(of region: Region, isSuccess: Bool) -> Bool {
        guard let position = sites.firstIndex(where: { $0.region == region }) else {
            preconditionFailure("no region \(region) among \(sites.map(\.region))")
        }
        return health[position].note(isSuccess: isSuccess)
    }

    package func isHealthy(_ region: Region) -> Bool {
        zip(sites, health).contains { $0.region == region && $1.isHealthy }
    }

    /// Where all are unhealthy the checks are more likely wrong than the regions, and the nearest is answered, as
    /// Route 53 does.
    package func answer(_ question: Question) -> Answer {
        let place = question.clientSubnet ?? question.resolver
        let healthy = zip(sites, health).filter { $1.isHealthy }.map { $0.0 }
        let region = Self.nearest(to: place, among: healthy.isEmpty ? sites : healthy)
        return Answer(
            region: region, timeToLiveNanoseconds: timeToLiveNanoseconds,
            isForSubnet: question.clientSubnet != nil)
    }

    /// Along the great circle; the first of equals.
    package static func nearest(to place: Coordinates, among sites: [RegionSite]) -> Region {
        precondition(!sites.isEmpty, "nothing is near")
        var best = (region: sites[0].region, kilometres: Double.infinity)
        for site in sites {
            let kilometres = place.kilometres(to: site.coordinates)
            if kilometres < best.kilometres { best = (site.region, kilometres) }
        }
        return best.region
    }
}
