import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// The links of the simulated world: as long as the latency matrix says, and as bad as the seed says.
///
/// Links are ordered, as TCP connections are, unless frames are reordered on purpose; a link that is cut loses what is
/// under way. A frame whose bits flip fails its checksum at the receiver, so here it is counted and lost: frames carry
/// values and not bytes inside of one process.
struct Network {
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

    var weather = Weather()
    private(set) var counters = Counters()
    private var links: [Link]
    private let count: Int
    private var random: SplitMix64

    /// The shortest time that a frame takes between two processes.
    private static let floorNanoseconds: Int64 = 50_000

    init(_ topology: Topology, random: SplitMix64) {
        let nodes = topology.nodes
        count = nodes.count
        self.random = random
        links = []
        for from in nodes {
            for to in nodes {
                let way = topology.matrix.oneWayNanoseconds(from: from.region, to: to.region)
                links.append(Link(baseNanoseconds: max(way, Self.floorNanoseconds)))
            }
        }
    }

    func link(from: Int, to: Int) -> Int { from * count + to }
    func epoch(_ link: Int) -> Int { links[link].epoch }
    func isCut(_ link: Int) -> Bool { links[link].cuts > 0 }

    mutating func cut(from: Int, to: Int) {
        links[link(from: from, to: to)].cuts += 1
        reset(from: from, to: to)
    }

    mutating func mend(from: Int, to: Int) {
        let link = link(from: from, to: to)
        precondition(links[link].cuts > 0, "a whole link is mended")
        links[link].cuts -= 1
    }

    /// Breaks the connection: what is under way is lost.
    mutating func reset(from: Int, to: Int) { links[link(from: from, to: to)].epoch += 1 }

    mutating func clog(from: Int, to: Int, until time: Int64) {
        let link = link(from: from, to: to)
        links[link].cloggedUntil = max(links[link].cloggedUntil, time)
    }

    mutating func unclogAll() { for link in links.indices { links[link].cloggedUntil = 0 } }

    mutating func noteCut() { counters.cut += 1 }

    /// - Returns: when the frame arrives, and when its double does; `nil` for what is lost.
    mutating func route(_ frame: NodeFrame, link: Int, at now: Int64) -> (first: Int64?, second: Int64?) {
        counters.sent += 1
        if links[link].cuts > 0 {
            counters.cut += 1
            return (nil, nil)
        }
        if weather.loss > 0, chance(weather.loss) {
            counters.lost += 1
            return (nil, nil)
        }
        if weather.corruption > 0, chance(weather.corruption) {
            counters.corrupted += 1
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
            counters.reordered += 1
            at += Int64(Double(base) * 3 * fraction())
        } else {
            at = max(at, links[link].lastArrival)
            links[link].lastArrival = at
        }
        guard weather.duplication > 0, chance(weather.duplication) else { return (at, nil) }
        counters.duplicated += 1
        return (at, at + Int64(Double(base) * 2 * fraction()))
    }

    private mutating func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }
    private mutating func chance(_ share: Double) -> Bool { fraction() < share }
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
            case .read, .resolve, .lock, .unlock, .transferLease: return 96
            }
        case .closed: return 32
        case .quiet(let quiet): return 40 + 40 * (quiet.ranges?.count ?? 0)
        case .quietReply: return 24
        case .reply: return 96
        case .snapshotChunk(let chunk): return 64 + chunk.chunk.bytes.count
        case .snapshotReply, .wound: return 48
        }
    }
}
