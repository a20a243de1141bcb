import BenchSupport
import MeridianCore
import MeridianPlacement

/// The routers that are compared.
enum RoutingKind: String, CaseIterable, Sendable {
    /// GeoDNS with Route 53's defaults: checks every 30 s, three of them decide, 60 s to live.
    case location
    /// The same, and public resolvers send the client's subnet.
    case locationSubnet
    /// The same with checks every 10 s.
    case locationSubnetFast
    /// Anycast.
    case path
    /// The client's own pings, and requests repeated elsewhere, as `Session` does.
    case measured

    /// - Parameter round: draws what routers draw anew.
    func router(for world: RoutingWorld, round: Int) -> any ClientRouting {
        switch self {
        case .location: LocationRouting(world, sendsClientSubnet: false, checkSeconds: 30)
        case .locationSubnet: LocationRouting(world, sendsClientSubnet: true, checkSeconds: 30)
        case .locationSubnetFast: LocationRouting(world, sendsClientSubnet: true, checkSeconds: 10)
        case .path: PathRouting(world, round)
        case .measured: MeasuredRouting(world, round)
        }
    }
}

/// A way of routing all clients, in simulated time. Asked in the order of time.
protocol ClientRouting {
    /// A second begins.
    mutating func tick(_ second: Int, _ state: RegionState)
    /// Where the request goes that a client sends now; `nil` when it gets lost on the way.
    mutating func region(for client: Int, at now: Instant, _ state: RegionState) -> Region?
    /// Where the request goes next, if the client repeats one that was not answered.
    mutating func alternative(to region: Region, for client: Int) -> Region?
    /// What came of a request, which the client knows at that instant.
    mutating func note(isSuccess: Bool, of region: Region, for client: Int, at instant: Instant)
}

extension ClientRouting {
    mutating func alternative(to region: Region, for client: Int) -> Region? { nil }
    mutating func note(isSuccess: Bool, of region: Region, for client: Int, at instant: Instant) {}
}

/// How the lost region does.
enum RegionState: Sendable {
    case well
    case dead
    /// Everything takes half a second longer.
    case slow

    static let slownessNanoseconds: Int64 = 500_000_000
}

struct LocationRouting: ClientRouting {
    private let world: RoutingWorld
    private let checkSeconds: Int
    private var router: LocationRouter
    private var resolvers: [NameResolver]
    private var answers: [CachedAnswer?]

    init(_ world: RoutingWorld, sendsClientSubnet: Bool, checkSeconds: Int) {
        self.world = world
        self.checkSeconds = checkSeconds
        router = LocationRouter(sites: world.sites)
        var population = RoutingWorld.population
        population.sendsClientSubnet = sendsClientSubnet
        resolvers = world.resolvers.map { population.resolver($0.kind, at: $0.place) }
        answers = Array(repeating: nil, count: world.clients.count)
    }

    /// A slow region passes its checks, which time out after seconds.
    mutating func tick(_ second: Int, _ state: RegionState) {
        guard second % checkSeconds == 0 else { return }
        for site in world.sites {
            router.noteCheck(of: site.region, isSuccess: state != .dead || site.region != RoutingBench.lost)
        }
    }

    mutating func region(for client: Int, at now: Instant, _ state: RegionState) -> Region? {
        if let known = answers[client], now < known.expiry { return known.region }
        let home = world.clients[client]
        let answer = resolvers[home.resolver].resolve(
            for: home.city.id, at: home.coordinates, with: router, now: now)
        answers[client] = CachedAnswer(answer, at: now, beyondNanoseconds: home.overstay)
        return answer.region
    }
}

struct PathRouting: ClientRouting {
    private let networks: [NetworkGraph.Network]
    private var router: PathRouter
    private var random: SplitMix64
    private var state = RegionState.well

    init(_ world: RoutingWorld, _ round: Int) {
        let internet = world.internet
        networks = world.clients.map { client in
            guard let network = internet.access[client.city.country] else {
                preconditionFailure("no network in \(client.city.country)")
            }
            return network
        }
        let origins = world.sites.compactMap { site in internet.regions[site.region].map { (site.region, $0) } }
        router = PathRouter(graph: internet.graph, origins: origins)
        random = SplitMix64(seed: world.seed ^ 0x7061_7468 &+ UInt64(round))
    }

    mutating func tick(_ second: Int, _ state: RegionState) {
        let now = Instant(nanoseconds: Int64(second) * 1_000_000_000)
        if state == .dead, self.state != .dead { router.withdraw(RoutingBench.lost, at: now, using: &random) }
        if state != .dead, self.state == .dead { router.announce(RoutingBench.lost, at: now, using: &random) }
        self.state = state
    }

    mutating func region(for client: Int, at now: Instant, _ state: RegionState) -> Region? {
        router.destination(from: networks[client], at: now)
    }

    /// The link that a number names, of all that the internet has.
    mutating func setLink(_ number: Int, isUp: Bool) {
        var left = number
        for network in router.graph.links.indices {
            let links = router.graph.links[network].filter { $0.to > network }
            guard left >= links.count else { return router.setLink(network, links[left].to, isUp: isUp) }
            left -= links.count
        }
        preconditionFailure("no link \(number)")
    }

    var linkCount: Int { router.graph.links.reduce(0) { $0 + $1.count } / 2 }
}

/// A request or ping that was not answered, and when the client knows.
private struct Failure {
    var instant: Instant
    var region: Region
    var isPing: Bool
}

struct MeasuredRouting: ClientRouting {
    private let world: RoutingWorld
    private var routers: [MeasuredRouter]
    private var failures: [[Failure]]
    private var random: SplitMix64

    private static let pingTimeout: Int64 = 1_000_000_000

    init(_ world: RoutingWorld, _ round: Int) {
        self.world = world
        // A client that has measured nothing begins anywhere.
        routers = world.clients.map { _ in MeasuredRouter(regions: world.sites.map(\.region)) }
        failures = Array(repeating: [], count: world.clients.count)
        random = SplitMix64(seed: world.seed ^ 0x7069_6E67 &+ UInt64(round))
    }

    mutating func tick(_ second: Int, _ state: RegionState) {}

    mutating func region(for client: Int, at now: Instant, _ state: RegionState) -> Region? {
        learn(client, until: now)
        for region in routers[client].probesDue(at: now) {
            let isLost = region == RoutingBench.lost
            let slowness = isLost && state == .slow ? RegionState.slownessNanoseconds : 0
            let roundTrip = jittered(world.clients[client].roundTrips[world.position(region)]) + slowness
            if isLost && state == .dead || roundTrip >= Self.pingTimeout {
                failures[client].append(
                    Failure(instant: now.advanced(byNanoseconds: Self.pingTimeout), region: region, isPing: true))
            } else {
                routers[client].probed(region, roundTripNanoseconds: roundTrip, at: now)
            }
        }
        return routers[client].region
    }

    mutating func alternative(to region: Region, for client: Int) -> Region? {
        routers[client].alternatives(to: region).first
    }

    mutating func note(isSuccess: Bool, of region: Region, for client: Int, at instant: Instant) {
        if isSuccess {
            routers[client].succeeded(region)
        } else {
            failures[client].append(Failure(instant: instant, region: region, isPing: false))
        }
    }

    private mutating func learn(_ client: Int, until now: Instant) {
        let known = failures[client].filter { $0.instant <= now }.sorted { $0.instant < $1.instant }
        failures[client].removeAll { $0.instant <= now }
        for failure in known {
            if failure.isPing {
                routers[client].probeFailed(failure.region, at: failure.instant)
            } else {
                routers[client].failed(failure.region, at: failure.instant)
            }
        }
    }

    /// Up to 10 % more, and in one of a hundred cases three times as much.
    private mutating func jittered(_ roundTrip: Int64) -> Int64 {
        let factor = random.below(100) == 0 ? 3 : 1 + random.share() / 10
        return Int64(Double(roundTrip) * factor)
    }
}
