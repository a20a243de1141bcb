import Foundation
import Logging
import MeridianClock
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import MeridianStorage
import MeridianTransport
import Synchronization

/// A whole cluster in this process: every node with its own threads, clock and SQLite files, and links between them
/// as long as the topology says.
///
/// ```swift
/// let cluster = try await EmbeddedCluster(topology: .aws(["us-east-1", "eu-west-1", "ap-northeast-1"]))
/// let db = cluster.database(in: "eu-west-1")
/// ```
///
/// The nodes are the production ones; only the links are short-circuited. Call `shutdown()` at the end.
public final class EmbeddedCluster: DatabaseHost {
    public let topology: Topology
    public let configuration: ClusterConfiguration
    /// Where the files are; `nil` in memory.
    public var directory: String? { files?.path }

    let files: ClusterDirectory?
    private let network: InProcessNetwork
    let state: Mutex<State>
    package let tables = TableCache()
    package let seal: TokenSeal
    package let progress = ConvergenceProgress()
    package var rules: JurisdictionRules { configuration.rules }
    let egressMeters: EgressMeters
    /// The end of the chain of erasure certificates, once it is known.
    let erasures = Mutex<ErasureChainHead?>(nil)

    struct State {
        var drivers: [NodeID: NodeDriver] = [:]
        /// What a node that lives in memory leaves behind when it stops.
        var memory: [NodeID: (log: MemoryLogStore, state: MemoryStateStore)] = [:]
        /// Nodes in memory that lost what they had, until they have started.
        var lost: Set<NodeID> = []
        var isShutDown = false
        var nextGateway = 0
        /// Of nodes in memory, what is kept in files otherwise.
        var unshipped: [NodeID: [UnshippedFile]] = [:]
    }

    /// The services of the regions.
    private let background = Background()

    /// Starts every node, and waits until the system range has a leaseholder.
    /// - Throws: `MeridianError` with `.invalidConfiguration`, `.jurisdictionViolation` when the topology or the
    ///   retention breaks a rule, or what opening the files throws: `.wrongCluster`, `.newerFormat`, `.notADatabase`,
    ///   `.corruption`, `.directoryInUse`, `.diskFull`, `.storageFailed`.
    public init(topology: Topology, configuration: ClusterConfiguration = ClusterConfiguration()) async throws {
        try configuration.validate()
        try configuration.rules.check(topology)
        try configuration.rules.check(retention: configuration.retention, in: topology)
        self.topology = topology
        self.configuration = configuration
        self.files = try ClusterDirectory.open(configuration.storage, topology: topology)
        self.seal = TokenSeal(key: try files?.tokenKey() ?? TokenSeal.drawKey())
        var links = topology
        if !configuration.simulatesLatency { links = try topology.withoutLatency() }
        self.network = InProcessNetwork(
            topology: links, jitterFraction: configuration.jitter, seed: configuration.seed)
        self.state = Mutex(State())
        self.egressMeters = EgressMeters(topology)
        do {
            for node in topology.nodes { try await start(node.id) }
            try await waitUntilReady(Catalog.systemRange, deadline: .seconds(30))
            for region in topology.regions {
                let keeper = RegionKeeper(host: self, region: region)
                background.run { await keeper.run() }
            }
        } catch {
            await shutdown()
            throw error
        }
    }

    /// The cluster as a client in this region sees it. Precondition: the region is in the topology.
    public func database(in region: Region) -> Database {
        precondition(topology.contains(region), "region \(region) is not in the topology \(topology.regions)")
        return Database(host: self, region: region)
    }

    /// Stops every node, making all durable first. Calls that are under way end with `.shutDown`.
    public func shutdown() async {
        let drivers = state.withLock { state in
            state.isShutDown = true
            defer { state.drivers = [:] }
            return state.drivers.sorted { $0.key < $1.key }.map(\.value)
        }
        network.stop()
        await Blocking.run { for driver in drivers { driver.stop() } }
        // What they were asking has been answered with that.
        await background.end()
        files?.removeIfTemporary()
    }

    // MARK: Nodes

    /// Starts a node that was stopped or killed; it goes on from its files.
    /// - Throws: what opening the files throws, as `init` says. After `.corruption` see `replace(_:)`.
    public func start(_ node: NodeID) async throws {
        guard let descriptor = topology.node(node) else {
            throw MeridianError(.invalidTopology, "\(node) is not in the topology")
        }
        let isRunning = state.withLock { $0.drivers[node] != nil || $0.isShutDown }
        if isRunning { return }
        var core = NodeConfiguration(
            node: node, topology: topology,
            seed: configuration.seed ^ (UInt64(node.rawValue) &* 0xD6E8_FEB8_6659_FD93))
        core.electionTimeoutNanoseconds = configuration.electionTimeout.nanoseconds
        core.heartbeatIntervalNanoseconds = configuration.electionTimeout.nanoseconds / 4
        core.retentionNanoseconds = configuration.retention.nanoseconds
        core.rules = configuration.rules
        if !configuration.simulatesLatency { core.topology = try topology.withoutLatency() }
        let (finished, time, logger) = (core, timeSource(of: node), configuration.logger)
        let (egress, onFrame) = (egressMeters.meter(of: node), configuration.onFrame)
        let driver = try await Blocking.run { [self] in
            try Self.naming(descriptor) {
                let isLost = try throwAwayLostFiles(of: descriptor)
                let (log, state) = try stores(of: descriptor)
                var generator = SystemRandomNumberGenerator()
                let driver = try NodeDriver(
                    configuration: finished, log: log, state: state,
                    lost: isLost ? Incarnation(using: &generator) : nil, time: time, logger: logger,
                    salvage: { [weak self] in try self?.keep($0, of: descriptor) },
                    send: { [network] in
                        egress.note($0)
                        onFrame?($0)
                        network.send($0)
                    })
                try noteInUse(descriptor)
                return driver
            }
        }
        state.withLock { $0.drivers[node] = driver }
        network.heal(node)
        network.attach(node) { driver.receive($0) }
        driver.start()
    }

    /// Ends a node as a crash does: at once, without a word to anybody, its files as they are.
    public func kill(_ node: NodeID) async { await end(node, isCrash: true) }

    /// Ends a node in good order.
    public func stop(_ node: NodeID) async { await end(node, isCrash: false) }

    /// The nodes that run.
    public var runningNodes: [NodeID] { state.withLock { $0.drivers.keys.sorted() } }

    private func end(_ node: NodeID, isCrash: Bool) async {
        guard let driver = state.withLock({ $0.drivers.removeValue(forKey: node) }) else { return }
        if isCrash { network.cut(node) }
        network.detach(node)
        await Blocking.run { driver.stop(isCrash: isCrash) }
    }

    /// Cuts a node's links to all others, or mends them. It keeps running.
    public func isolate(_ node: NodeID) { network.cut(node) }
    public func heal(_ node: NodeID) { network.heal(node) }

    /// Cuts a region's links to all others, or mends them. Its nodes keep running and hear each other.
    public func isolate(_ region: Region) { network.cut(region) }
    public func heal(_ region: Region) { network.heal(region) }

    /// Of many nodes' files, says whose an error is about.
    private static func naming<Result>(_ node: NodeDescriptor, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch var error as MeridianError {
            error.message = "node \(node.name): " + error.message
            if error.code == .corruption {
                error.message +=
                    "; if a quorum of its peers has its files, replace(\(node.id.rawValue)) throws these away and "
                    + "brings the node back from theirs"
            }
            throw error
        }
    }

    private func timeSource(of node: NodeID) -> any TimeSource {
        switch configuration.clock {
        case .declared(let error): SystemTimeSource(errorBound: .declared(error))
        case .kernel: SystemTimeSource(errorBound: .kernel)
        case .simulated(let seed): SimulatedTimeSource(seed: seed &+ UInt64(node.rawValue))
        }
    }

    private func stores(of node: NodeDescriptor) throws -> (any LogStore, any StateStore) {
        guard let files else {
            return state.withLock { state in
                let old = state.memory[node.id]
                let log = old?.log.reopened() ?? MemoryLogStore()
                let rows = old?.state.reopened(afterCrash: true) ?? MemoryStateStore()
                state.memory[node.id] = (log, rows)
                return (log, rows)
            }
        }
        let identity = StoreIdentity(
            clusterID: files.clusterID, node: node.id, name: node.name, region: node.region,
            jurisdiction: topology.jurisdiction(of: node.region))
        let stores = try SQLiteStores.open(directory: files.nodeDirectory(node), identity: identity)
        return (stores.log, stores.state)
    }

    // MARK: For the parts of the API

    package var now: Instant { Instant(nanoseconds: MonotonicTime.nanoseconds()) }

    package func pause(for duration: Duration) async { await Pause.sleep(for: duration) }

    package func randomNumber() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    package func call(
        _ range: RangeID, _ body: GatewayCall.Body, from region: Region, for client: Region, patience: Duration,
        mayBeRepeated: Bool
    ) async throws -> GatewayAnswer.Body {
        let gateway = try gateway(in: region, for: range, prefersReplica: body.isForReplicas)
        return await gateway.call(range, body, for: client, deadline: patience, mayBeRepeated: mayBeRepeated)
    }

    /// A node of a region to talk to: the range's leaseholder if it is there, else the next of those that run.
    /// - Parameter prefersReplica: a node with a replica of the range is better than one without.
    func gateway(
        in region: Region, for range: RangeID, prefersReplica: Bool = false
    ) throws(MeridianError) -> NodeDriver {
        let found: NodeDriver? = state.withLock { state in
            let local = topology.nodes(in: region).compactMap { state.drivers[$0.id] }
            if let leader = local.first(where: { $0.leads(range) }) { return leader }
            if prefersReplica, let near = local.first(where: { $0.catalog.directory[range]?[$0.node] != nil }) {
                return near
            }
            guard !local.isEmpty else { return nil }
            state.nextGateway &+= 1
            return local[state.nextGateway % local.count]
        }
        if let found { return found }
        let isShutDown = state.withLock { $0.isShutDown }
        throw isShutDown
            ? MeridianError(.shutDown, "the cluster has been shut down")
            : MeridianError(
                .unavailable, "no node of region \(region) is running; use a database in another region",
                retry: .after(.seconds(1)))
    }

    package func latestTimestamp(in region: Region) -> Timestamp? {
        let drivers = state.withLock { state in topology.nodes(in: region).compactMap { state.drivers[$0.id] } }
        return drivers.lazy.map(\.clock).first(where: \.isKnown)?.latest
    }

    package func earliestTimestamp(in region: Region) -> Timestamp? {
        let drivers = state.withLock { state in topology.nodes(in: region).compactMap { state.drivers[$0.id] } }
        return drivers.lazy.map(\.clock).first(where: \.isKnown)?.earliest
    }

    package func clientRoundTrip(from origin: Region, to gateway: Region) -> Duration {
        guard configuration.simulatesLatency, origin != gateway else { return .zero }
        return .nanoseconds(topology.matrix.roundTripNanoseconds(from: origin, to: gateway))
    }

    /// Log transactions, and so fsyncs, of the nodes that run, since each started.
    package var logWriteCount: Int {
        state.withLock { $0.drivers.values.reduce(0) { $0 + $1.logWriteCount } }
    }

    /// The node that leads a range, if one that runs believes so.
    package func leaseholder(of range: RangeID) -> NodeID? {
        state.withLock { state in
            state.drivers.filter { $0.value.leads(range) }.keys.min()
        }
    }

    func waitUntilReady(_ range: RangeID, deadline: Duration) async throws {
        guard let region = topology.regions.first else { return }
        let driver = try gateway(in: region, for: range)
        let answer = await driver.call(
            range, .read(ReadRequest(timestamp: nil, operations: [])), deadline: deadline, mayBeRepeated: false)
        if case .failed(let error) = answer { throw error }
    }
}

/// Work that blocks, away from Swift's cooperative pool.
enum Blocking {
    static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withUnsafeThrowingContinuation { continuation in
            Thread { continuation.resume(with: Swift.Result { try body() }) }.start()
        }
    }

    static func run(_ body: @escaping @Sendable () -> Void) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            Thread {
                body()
                continuation.resume()
            }.start()
        }
    }
}

extension Topology {
    /// The same nodes with no distance between them.
    func withoutLatency() throws(MeridianError) -> Topology {
        var jurisdictions: [Region: Jurisdiction] = [:]
        for region in regions { jurisdictions[region] = jurisdiction(of: region) }
        return try Topology(nodes: nodes, jurisdictions: jurisdictions, matrix: .none)
    }
}
