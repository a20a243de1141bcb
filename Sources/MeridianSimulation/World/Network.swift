import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// The links of the simulated world: as long as the latency matrix says, and as bad as the seed says.
///
/// Links are ordered, as TCP connections are, unless frames are reordered on purpose; a link that is cut loses what is
/// under way. A frame whose bits flip fails its checksum at the receiver, so here it is counted and lost: frames carry
/// values and not bytes inside of one process.
///
/// The links and all that changes lie in memory of their own: every frame looks at them, and each look at a property
/// would be checked against other ones.
final class Network {
    /// What every frame meets. Shares are of one.
    struct Weather: Equatable {
        var jitter = 0.0
        var loss = 0.0
        var duplication = 0.0
        var reordering = 0.0
        var corruption = 0.0
        /// In bytes a second for each link; `nil` for no limit.
        var bandwidth: Int64?
    }

    struct Counters: Equatable {
        var sent: UInt64 = 0
        var lost: UInt64 = 0
        var duplicated: UInt64 = 0
        var reordered: UInt64 = 0
        var corrupted: UInt64 = 0
        var cut: UInt64 = 0
    }

    private struct Link {
        var baseNanoseconds: Int64
        var lastArrival: Int64 = 0
        /// When the wire is free for the next frame.
        var busyUntil: Int64 = 0
        /// Nothing arrives before this.
        var cloggedUntil: Int64 = 0
        /// How many faults have cut the link; it works when none does.
        var cuts = 0
        var epoch = 0
    }

    /// What changes with every frame.
    private struct State {
        var weather = Weather()
        var counters = Counters()
        var random: SplitMix64
    }

    private let state: UnsafeMutablePointer<State>
    private let links: UnsafeMutablePointer<Link>
    private let count: Int
    private let linkCount: Int

    /// The shortest time that a frame takes between two processes.
    private static let floorNanoseconds: Int64 = 50_000

    init(_ topology: Topology, random: SplitMix64) {
        let nodes = topology.nodes
        count = nodes.count
        state = .allocate(capacity: 1)
        state.initialize(to: State(random: random))
        linkCount = count * count
        links = .allocate(capacity: linkCount)
        for (from, origin) in nodes.enumerated() {
            for (to, destination) in nodes.enumerated() {
                let way = topology.matrix.oneWayNanoseconds(from: origin.region, to: destination.region)
                (links + from * count + to).initialize(to: Link(baseNanoseconds: max(way, Self.floorNanoseconds)))
            }
        }
    }

    deinit {
        links.deallocate()
        state.deallocate()
    }

    var weather: Weather {
        get { state.pointee.weather }
        set { state.pointee.weather = newValue }
    }

    var counters: Counters { state.pointee.counters }

    func link(from: Int, to: Int) -> Int {
        precondition(from < count && to < count, "no link from \(from) to \(to)")
        return from * count + to
    }

    func epoch(_ link: Int) -> Int { links[link].epoch }
    func isCut(_ link: Int) -> Bool { links[link].cuts > 0 }

    func cut(from: Int, to: Int) {
        links[link(from: from, to: to)].cuts += 1
        reset(from: from, to: to)
    }

    func mend(from: Int, to: Int) {
        let link = link(from: from, to: to)
        precondition(links[link].cuts > 0, "a whole link is mended")
        links[link].cuts -= 1
    }

    /// Breaks the connection: what is under way is lost.
    func reset(from: Int, to: Int) { links[link(from: from, to: to)].epoch += 1 }

    func clog(from: Int, to: Int, until time: Int64) {
        let link = link(from: from, to: to)
        links[link].cloggedUntil = max(links[link].cloggedUntil, time)
    }

    func unclogAll() { for link in 0..<linkCount { links[link].cloggedUntil = 0 } }

    func noteCut() { state.pointee.counters.cut += 1 }

    /// - Returns: when the frame arrives, and when its double does; `nil` for what is lost.
    func route(_ frame: NodeFrame, link: Int, at now: Int64) -> (first: Int64?, second: Int64?) {
        let weather = state.pointee.weather
        state.pointee.counters.sent += 1
        if links[link].cuts > 0 {
            state.pointee.counters.cut += 1
            return (nil, nil)
        }
        if weather.loss > 0, chance(weather.loss) {
            state.pointee.counters.lost += 1
            return (nil, nil)
        }
        if weather.corruption > 0, chance(weather.corruption) {
            state.pointee.counters.corrupted += 1
            return (nil, nil)
        }
        let base = links[link].baseNanoseconds
        var at = now + base
        if weather.jitter > 0 { at += Int64(Double(base) * weather.jitter * fraction()) }
        if let bandwidth = weather.bandwidth {
            let start = max(now, links[link].busyUntil)
            links[link].busyUntil = start + Int64(frame.byteCount) * 1_000_000_000 / bandwidth
            at += links[link].busyUntil - now
        }
        at = max(at, links[link].cloggedUntil)
        if weather.reordering > 0, chance(weather.reordering) {
            state.pointee.counters.reordered += 1
            at += Int64(Double(base) * 3 * fraction())
        } else {
            at = max(at, links[link].lastArrival)
            links[link].lastArrival = at
        }
        guard weather.duplication > 0, chance(weather.duplication) else { return (at, nil) }
        state.pointee.counters.duplicated += 1
        return (at, at + Int64(Double(base) * 2 * fraction()))
    }

    private func fraction() -> Double { Double(state.pointee.random.next() >> 11) * 0x1p-53 }
    private func chance(_ share: Double) -> Bool { fraction() < share }
}

extension NodeFrame {
    /// About as long as the frame would be on a wire, in bytes.
    var byteCount: Int {
        messages.reduce(32) { $0 + $1.byteCount }
    }
}

extension NodeMessage {
    fileprivate var byteCount: Int {
        switch self {
        case .raft(_, let message):
            if case .append(let append) = message.body { return append.entries.reduce(64) { $0 + $1.byteCount } }
            return 48
        case .request(let request):
            switch request.body {
            case .commit(let commit): return commit.byteCount
            case .prepare(let prepare): return prepare.byteCount
            case .read, .resolve, .lock, .unlock, .transferLease, .transactions, .status: return 96
            }
        case .closed: return 32
        case .quiet(let quiet): return 40 + 40 * (quiet.ranges?.count ?? 0)
        case .quietReply: return 24
        case .reply: return 96
        case .snapshotChunk(let chunk): return 64 + chunk.chunk.bytes.count
        case .snapshotReply, .wound, .diverged: return 48
        case .digest: return 64
        }
    }
}
