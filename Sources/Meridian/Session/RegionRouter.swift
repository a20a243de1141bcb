import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Finds the region through which clients that stand together, such as an application server's, reach the cluster:
/// the nearest that answers, by what it measures itself (`MeasuredRouter`).
///
/// It pings every region while `run()` runs, and learns from the sessions' requests. A region that fails is left after
/// `failureThreshold` failures in a row, and used again when it has served a whole read and answered pings. Without
/// `run()` it uses the nearest by the topology, leaves it when requests fail, and pings on request (`measure()`).
///
/// ```swift
/// let router = try cluster.router(near: "eu-west-1")
/// async let pings: Void = router.run()
/// let session = try router.session(.causal)
/// ```
public final class RegionRouter: Sendable {
    /// Where the clients are.
    public let region: Region
    public let configuration: RoutingConfiguration
    let host: any DatabaseHost
    private let measured: Mutex<MeasuredRouter>

    /// What is known of a region.
    public struct Measurement: Hashable, Sendable {
        public var region: Region
        /// The median of the last five pings' round trips; `nil` before the first.
        public var latency: Duration?
        /// Whether requests may go there.
        public var isHealthy: Bool
    }

    /// - Parameter database: where the clients are, and of which cluster.
    /// - Throws: `.invalidConfiguration`, `.unknownRegion`.
    public init(
        _ database: Database, configuration: RoutingConfiguration = RoutingConfiguration()
    ) throws(MeridianError) {
        try configuration.validate(database.host.topology)
        self.region = database.client
        self.configuration = configuration
        self.host = database.host
        let regions = host.topology.regionsByDistance(from: database.client).filter {
            configuration.regions?.contains($0) ?? true
        }
        self.measured = Mutex(MeasuredRouter(regions: regions, configuration: configuration.measured))
    }

    /// Where requests enter the cluster now.
    public var gateway: Region { measured.withLock { $0.region } }

    /// In the order of distance by the topology.
    public var measurements: [Measurement] {
        measured.withLock { router in
            router.regions.map { region in
                Measurement(
                    region: region, latency: router.latencyNanoseconds(of: region).map { .nanoseconds($0) },
                    isHealthy: router.health(of: region) == .healthy)
            }
        }
    }

    // MARK: Pings

    /// Pings the regions until the task is cancelled.
    public func run() async {
        while !Task.isCancelled {
            await measure()
            let next = measured.withLock { $0.nextProbe }
            await host.pause(for: .nanoseconds(max(1_000_000, next.nanoseconds(since: host.now))))
        }
    }

    /// Pings the regions that are due, and returns when each has answered or its time is up.
    public func measure() async {
        let now = host.now
        let due = measured.withLock { router in
            router.probesDue(at: now).map { region in (region, router.health(of: region) != .healthy) }
        }
        await withTaskGroup(of: Void.self) { group in
            for (region, isOnTrial) in due {
                group.addTask { await self.ping(region, isOnTrial: isOnTrial) }
            }
        }
    }

    /// A gateway answers a ping by itself. One that failed must first show that it still reaches a quorum: a region
    /// that is cut off from the others answers its own clients' pings, and serves none of their requests.
    private func ping(_ region: Region, isOnTrial: Bool) async {
        let database = database(through: region)
        do {
            if isOnTrial {
                try await ask(database, ReadRequest(timestamp: nil, operations: []))
            }
            let start = host.now
            let freshness = FreshnessQuestion(notBefore: .zero, ranges: [])
            try await ask(database, ReadRequest(timestamp: nil, operations: [], freshness: freshness))
            let end = host.now
            measured.withLock {
                $0.probed(region, roundTripNanoseconds: max(0, end.nanoseconds(since: start)), at: end)
            }
        } catch {
            let now = host.now
            measured.withLock { $0.probeFailed(region, at: now) }
        }
    }

    private func ask(_ database: Database, _ request: ReadRequest) async throws {
        let answer = try await database.host.call(
            Catalog.systemRange, .read(request), from: database.region, patience: configuration.pingTimeout,
            mayBeRepeated: false)
        // A gateway without a usable clock says so, and can serve all the same.
        guard case .failed(let error) = answer, error.code != .unavailable || request.freshness == nil else { return }
        throw error
    }

    // MARK: For sessions

    func noteSuccess(of region: Region) { measured.withLock { $0.succeeded(region) } }

    func noteFailure(of region: Region) {
        let now = host.now
        measured.withLock { $0.failed(region, at: now) }
    }

    /// Whether the router uses it at all, and it has not failed.
    func isHealthy(_ region: Region) -> Bool {
        measured.withLock { $0.regions.contains(region) && $0.health(of: region) == .healthy }
    }

    /// The regions to try one after the other: the preferred one if it is healthy, the one that was measured to be the
    /// nearest, then the others.
    func order(preferring preferred: Region?) -> [Region] {
        measured.withLock { router in
            let measured = [router.region] + router.alternatives(to: router.region)
            guard let preferred, measured.contains(preferred), router.health(of: preferred) == .healthy else {
                return measured
            }
            return [preferred] + measured.filter { $0 != preferred }
        }
    }

    /// The store as a client of this router's region sees it through a region.
    package func database(through gateway: Region) -> Database {
        let roundTrip = host.clientRoundTrip(from: region, to: gateway)
        return Database(
            host: roundTrip == .zero ? host : DistantHost(host, roundTrip: roundTrip), region: gateway, client: region)
    }
}

extension EmbeddedCluster {
    /// A router for clients in a region, to be shared by their sessions.
    ///
    /// Precondition: the region is in the topology.
    /// - Throws: `.invalidConfiguration`, `.unknownRegion`.
    public func router(
        near region: Region, configuration: RoutingConfiguration = RoutingConfiguration()
    ) throws(MeridianError) -> RegionRouter {
        try RegionRouter(database(in: region), configuration: configuration)
    }

    /// A session with a router of its own, for a single client.
    ///
    /// Precondition: the region is in the topology.
    /// - Throws: as `RegionRouter.session`.
    public func session(
        near region: Region, _ strategy: ReadYourWrites = .causal, staleness: Duration = Session.defaultStaleness,
        resuming token: CausalToken? = nil
    ) throws(MeridianError) -> Session {
        try router(near: region).session(strategy, staleness: staleness, resuming: token)
    }
}
