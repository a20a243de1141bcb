import MeridianCore
import MeridianPlacement

/// One router, all clients, and one thing that happens to the lost region or to the paths.
struct RoutingRun {
    enum Event: Sendable {
        /// For ten minutes, after five or six, the region takes packets and answers none.
        case dies
        /// For as long, everything there takes half a second longer.
        case slows
        /// For an hour a link of the internet fails every minute, for five minutes each.
        case pathsChange
    }

    private let world: RoutingWorld
    /// Milliseconds over the nearest region, of each client's last request before the event.
    private var extras: [Double] = []
    private var nearest = 0
    /// By client, of those that the event concerned.
    private var recoveries: [Double] = []
    private var returns: [Double?] = []
    private var errors = 0
    private var affected = 0
    private var moves = 0
    private var movedClients = 0
    private var hours = 0.0

    /// How often a region dies; the figures are of all together.
    static let rounds = 5
    /// When a client gives a request up.
    private static let timeout: Int64 = 2_000_000_000
    private static let second: Int64 = 1_000_000_000

    private struct Progress {
        var before: Region?
        var last: Region?
        var isAffected = false
        var recovered: Instant?
        var returned: Instant?
        var errors = 0
        var moves = 0
    }

    var nearestShare: Double { Double(nearest) / Double(max(1, extras.count)) }
    var extraMean: Double { extras.reduce(0, +) / Double(max(1, extras.count)) }
    func extra(_ percentile: Double) -> Double { world.percentile(percentile, of: extras) }
    /// Seconds from the event until the first answer after the last request that failed; of a slow region, until the
    /// first request that went elsewhere.
    func recovery(_ percentile: Double) -> Double { world.percentile(percentile, of: recoveries) }
    /// Seconds from the region's return until a client's request went there again.
    func back(_ percentile: Double) -> Double { world.percentile(percentile, of: returns.compactMap { $0 }) }
    /// Of the clients that were there before, those that have come back within a quarter of an hour.
    var backShare: Double { Double(returns.filter { $0 != nil }.count) / Double(max(1, returns.count)) }
    var affectedShare: Double { Double(affected) / Double(world.clients.count * Self.rounds) }
    var errorsPerClient: Double { Double(errors) / Double(max(1, affected)) }
    var movesPerClientHour: Double { Double(moves) / (Double(world.clients.count) * max(hours, 1e-9)) }
    var movedShare: Double { Double(movedClients) / Double(world.clients.count) }

    static func run(_ world: RoutingWorld, _ kind: RoutingKind, _ event: Event) -> RoutingRun {
        var run = RoutingRun(world: world)
        var random = SplitMix64(seed: world.seed ^ 0x6469_6573)
        if event == .pathsChange {
            var router = kind.router(for: world, round: 0)
            run.change(&router)
            return run
        }
        // Caches and health checks stand anywhere in their intervals when it happens.
        for round in 0..<Self.rounds {
            var router = kind.router(for: world, round: round)
            run.disturb(&router, event, from: 300 + Int(random.below(60)))
        }
        return run
    }

    private init(world: RoutingWorld) { self.world = world }

    // MARK: A region dies, or slows down

    private mutating func disturb(_ router: inout any ClientRouting, _ event: Event, from begin: Int) {
        let (end, horizon) = (begin + 600, begin + 600 + 900)
        var progress = Array(repeating: Progress(), count: world.clients.count)
        for second in 0..<horizon {
            let isOn = second >= begin && second < end
            let state: RegionState = isOn ? (event == .dies ? .dead : .slow) : .well
            router.tick(second, state)
            for client in world.clients.indices where second >= world.clients[client].start {
                let now = Instant(nanoseconds: Int64(second) * Self.second + world.clients[client].phase)
                let region = router.region(for: client, at: now, state)
                let answered = send(client, to: region, at: now, state, &router)
                if second == begin - 1 {
                    progress[client].before = region
                    note(region, of: client)
                }
                if second < begin { continue }
                let isHit = event == .dies && answered == nil && isOn
                if isHit || isOn && region == RoutingBench.lost { progress[client].isAffected = true }
                guard progress[client].isAffected else { continue }
                if answered == nil { progress[client].errors += 1 }
                // A client that fails again has not recovered.
                if isHit { progress[client].recovered = nil }
                let isWell = event == .dies ? answered != nil : region != RoutingBench.lost || state == .well
                if progress[client].recovered == nil, isWell {
                    progress[client].recovered = event == .dies ? answered : now
                }
                if second >= end, region == RoutingBench.lost, progress[client].returned == nil {
                    progress[client].returned = now
                }
            }
        }
        let (start, back) = (Double(begin), Double(end))
        for client in progress where client.isAffected {
            affected += 1
            errors += client.errors
            recoveries.append(Self.seconds(client.recovered, or: horizon) - start)
            if client.before == RoutingBench.lost {
                returns.append(client.returned.map { Self.seconds($0, or: horizon) - back })
            }
        }
    }

    private static func seconds(_ instant: Instant?, or horizon: Int) -> Double {
        instant.map { Double($0.rawValue) / 1e9 } ?? Double(horizon)
    }

    /// - Returns: when the answer is there; `nil` for an error.
    private func send(
        _ client: Int, to region: Region?, at now: Instant, _ state: RegionState, _ router: inout any ClientRouting
    ) -> Instant? {
        var (region, begun) = (region, now)
        for attempt in 0..<2 {
            guard let chosen = region else { return nil }
            let isLost = chosen == RoutingBench.lost
            if !(isLost && state == .dead) {
                router.note(isSuccess: true, of: chosen, for: client, at: begun)
                let slowness = isLost && state == .slow ? RegionState.slownessNanoseconds : 0
                let roundTrip = world.clients[client].roundTrips[world.position(chosen)] + slowness
                return begun.advanced(byNanoseconds: roundTrip)
            }
            begun = begun.advanced(byNanoseconds: Self.timeout)
            router.note(isSuccess: false, of: chosen, for: client, at: begun)
            region = attempt == 0 ? router.alternative(to: chosen, for: client) : nil
        }
        return nil
    }

    private mutating func note(_ region: Region?, of client: Int) {
        guard let region else { return }
        let roundTrips = world.clients[client].roundTrips
        let own = roundTrips[world.position(region)]
        let best = roundTrips.min() ?? own
        if own == best { nearest += 1 }
        extras.append(Double(own - best) / 1e6)
    }

    // MARK: Paths change

    private mutating func change(_ router: inout any ClientRouting) {
        let (warmUp, horizon, interval, outage) = (300, 300 + 3600, 60, 300)
        var random = SplitMix64(seed: world.seed ^ 0x6C69_6E6B)
        var down: [(link: Int, until: Int)] = []
        var progress = Array(repeating: Progress(), count: world.clients.count)
        for second in 0..<horizon {
            router.tick(second, .well)
            if var path = router as? PathRouting, second >= warmUp {
                for (link, until) in down where until == second { path.setLink(link, isUp: true) }
                down.removeAll { $0.until <= second }
                if second % interval == 0 {
                    let link = Int(random.below(UInt64(path.linkCount)))
                    if !down.contains(where: { $0.link == link }) {
                        path.setLink(link, isUp: false)
                        down.append((link, second + outage))
                    }
                }
                router = path
            }
            for client in world.clients.indices where second >= world.clients[client].start {
                let now = Instant(nanoseconds: Int64(second) * Self.second + world.clients[client].phase)
                let region = router.region(for: client, at: now, .well)
                if second > warmUp, let last = progress[client].last, let region, region != last {
                    progress[client].moves += 1
                }
                if let region { progress[client].last = region }
            }
        }
        hours = 1
        moves = progress.reduce(0) { $0 + $1.moves }
        movedClients = progress.filter { $0.moves > 0 }.count
    }
}
