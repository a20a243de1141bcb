import Meridian
import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// A whole cluster in virtual time, one seed one run: for testing what your own code does while regions fail.
///
/// ```swift
/// let world = try SimulatedWorld(seed: 7, topology: .aws(["us-east-1", "eu-west-1", "ap-northeast-1"]))
/// try world.run { world in
///     let service = AccountService(database: world.database(in: "eu-west-1"))
///     try await service.open("alice")
///     world.lose("us-east-1")
///     try await service.deposit(10, to: "alice")
/// }
/// ```
///
/// The closure uses the ordinary `Database`. The nodes are the production's (`NodeCore`), the links are as long as the
/// topology says, hours take seconds, and the store's own promises are checked after every step: a broken one ends the
/// run with `SimulationError.violated`. The same seed gives the same run, in every process and on every machine, as
/// long as the code stays on the simulation's executor (docs/TESTING.md, "Users' code too"); what escapes it is named
/// by `SimulationError.escaped`.
///
/// A world belongs to the thread that makes it. It is `Sendable` so that tasks of its own executor can use it.
public final class SimulatedWorld: @unchecked Sendable {
    /// How the world is made.
    public struct Options: Sendable {
        /// Where the simulated nodes keep their files.
        public var storage = SimulatedStorage.memory
        /// Clocks drift and err as real ones do, up to 7 ms (Spanner's sawtooth); otherwise they are perfect.
        public var clocksDrift = true
        public var weather = FaultPlan.Weather()
        /// What the laws ask of rows that are at home under them. They are not checked against the topology here.
        public var rules = JurisdictionRules.none
        /// Whether some clock will lie, so that leases and real time are not promised.
        var clocksMayLie = false

        public init() {}
    }

    public let topology: Topology
    public let seed: UInt64
    let engine: Engine
    let executor: SeededExecutor
    let invariants: Invariants
    let host: SimulatedHost
    private var cuts: [(from: Int, to: Int)] = []

    /// - Throws: `SimulationError`, when a node cannot start.
    public init(seed: UInt64, topology: Topology, options: Options = Options()) throws {
        self.seed = seed
        self.topology = topology
        var timing = Engine.Timing()
        timing.diskNanoseconds = options.weather.diskNanoseconds
        timing.evaluationNanoseconds = options.weather.evaluationNanoseconds
        engine = Engine(
            seed: seed, topology: topology, timing: timing, clock: options.clocksDrift ? .init() : .perfect,
            rules: options.rules
        ) { node, seed in
            switch options.storage {
            case .memory: MemoryStorage()
            case .sqlite: SQLiteStorage(node, jurisdiction: topology.jurisdiction(of: node.region), seed: seed)
            }
        }
        var seeds = SplitMix64(seed: seed ^ 0x636C_6965_6E74)
        executor = SeededExecutor(seed: seeds.next())
        invariants = Invariants(engine, clocksMayLie: options.clocksMayLie)
        host = SimulatedHost(engine, random: SplitMix64(seed: seeds.next()))
        for node in engine.nodes { engine.start(node) }
    }

    /// Runs a closure to its end, in virtual time.
    /// - Parameter limit: how much virtual time it may take.
    /// - Throws: what the closure throws; `SimulationError.violated`, `.escaped`, `.unfinished`.
    @discardableResult
    public func run<Output: Sendable>(
        limit: Duration = .seconds(3600), _ body: @escaping @Sendable (SimulatedWorld) async throws -> Output
    ) throws -> Output {
        let handle = executor.start { [self] in try await body(self) }
        let end = engine.now + limit.nanoseconds
        runEvents(until: end) { handle.result != nil }
        if handle.result == nil, !invariants.isBroken { executor.awaitEscapes() }
        if let violation = invariants.violation { throw SimulationError.violated([violation.description]) }
        if !executor.escaped.isEmpty { throw SimulationError.escaped(executor.escaped) }
        guard let result = handle.result else {
            throw SimulationError.unfinished(
                "the closure has not ended after \(limit.seconds) s of virtual time: it waits for something that never "
                    + "comes, or that is outside of the simulation")
        }
        return try result.get()
    }

    /// Every region keeps its tables as an embedded cluster's do (`RegionKeeper`), until the world ends.
    func startKeepers() {
        for region in topology.regions {
            let keeper = RegionKeeper(host: host, region: region)
            _ = executor.start { [host] in await keeper.run(while: { !host.isEnded }) }
        }
    }

    /// Keepers and clients do nothing for a while, as in a process that is stopped; the nodes go on.
    package func standStill(for duration: Duration) { host.standStill(for: duration) }

    /// Ends what goes on for as long as the world does.
    func end() {
        host.end()
        executor.runReadyJobs()
        engine.end()
    }

    /// Lets events happen until something is done, something is broken, or a time has come.
    func runEvents(until end: Int64, _ isDone: () -> Bool) {
        executor.runReadyJobs()
        while !isDone(), !invariants.isBroken, !executor.hasEscaped {
            guard engine.runOne(until: end) else { return }
            executor.runReadyJobs()
        }
    }

    // MARK: For the closure

    /// The cluster as a client in this region sees it. Precondition: the region is in the topology.
    public func database(in region: Region) -> Database {
        precondition(topology.contains(region), "region \(region) is not in the topology \(topology.regions)")
        return Database(host: host, region: region)
    }

    /// Virtual time since the start of the world.
    public var now: Duration { .nanoseconds(engine.now) }

    public func sleep(for duration: Duration) async { await host.pause(for: duration) }

    /// A number from the seed.
    public func randomNumber(below limit: Int) -> Int { Int(host.randomNumber() % UInt64(limit)) }

    /// A fingerprint of everything that has happened. Equal for equal seeds, in every process.
    public var eventHash: String { engine.hash.description }

    // MARK: Faults at will

    /// The process dies and its machine loses power: what was not synced is lost.
    public func crash(_ node: NodeID) { engine.crash(self[node]) }
    /// Starts a node that is down; it goes on from its files.
    public func start(_ node: NodeID) { engine.start(self[node]) }
    /// The process stands still for a while; its clocks go on.
    public func pause(_ node: NodeID, for duration: Duration) {
        engine.pause(self[node], nanoseconds: duration.nanoseconds)
    }
    /// Every node of a region crashes.
    public func lose(_ region: Region) { for node in topology.nodes(in: region) { crash(node.id) } }
    /// Every node of a region starts again.
    public func restore(_ region: Region) { for node in topology.nodes(in: region) { start(node.id) } }

    /// Cuts all links between these nodes and the others, both ways, until `mendLinks`.
    public func isolate(_ nodes: [NodeID]) {
        let inside = Set(nodes)
        for node in topology.nodes where inside.contains(node.id) {
            for other in topology.nodes where !inside.contains(other.id) {
                cut(from: node.id, to: other.id)
                cut(from: other.id, to: node.id)
            }
        }
    }

    /// Cuts the link from one node to another, one way, until `mendLinks`.
    public func cut(from origin: NodeID, to destination: NodeID) {
        let link = (from: self[origin].position, to: self[destination].position)
        cuts.append(link)
        engine.network.cut(from: link.from, to: link.to)
    }

    public func mendLinks() {
        for link in cuts { engine.network.mend(from: link.from, to: link.to) }
        cuts = []
    }

    /// The disk of a node does nothing for a while.
    public func stallDisk(of node: NodeID, for duration: Duration) {
        self[node].stalledUntil = engine.now + duration.nanoseconds
    }

    /// A full disk takes no writes, and loses none.
    public func setDiskFull(_ isFull: Bool, of node: NodeID) { self[node].storage.trouble.isFull = isFull }

    /// These bytes must never stand in a file outside of a jurisdiction; it is checked at intervals.
    public func pin(_ bytes: [UInt8], in jurisdiction: Jurisdiction) { invariants.pins.pin(bytes, in: jurisdiction) }

    private subscript(id: NodeID) -> SimulatedNode {
        guard let node = engine.nodes.first(where: { $0.id == id }) else {
            preconditionFailure("\(id) is not in the topology")
        }
        return node
    }
}

/// Where simulated nodes keep their files.
public enum SimulatedStorage: String, CaseIterable, Sendable, Hashable {
    /// Rows and logs in memory, with the faults of a disk: fast.
    case memory
    /// SQLite's real code over a simulated disk.
    case sqlite
}
