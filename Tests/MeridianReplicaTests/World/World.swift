import HeapModule
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianRuntime
import MeridianStorage

@testable import MeridianReplica

/// A cluster of nodes, each in the production's shell (`NodeShell`), in virtual time: links with delay, loss and
/// doubling, disks that take their time and crash between any two writes, clocks that err within their bound. The same
/// seed gives the same run.
final class World {
    struct Settings {
        var nodes = 3
        /// The clocks' stated error; their actual one changes within it.
        var epsilonNanoseconds: Int64 = 5_000_000
        var delayNanoseconds: Int64 = 1_000_000
        var diskNanoseconds: Int64 = 200_000
        /// Of a thousand frames, how many arrive twice.
        var doubledPerThousand: UInt64 = 0
        var retainedLogEntries: UInt64 = 4096
        var quiesceAfterNanoseconds: Int64 = 5_000_000_000
        var retentionNanoseconds: Int64 = 600_000_000_000
    }

    enum Action {
        case wake(Int, incarnation: Int, at: Instant)
        case deliver(NodeFrame, link: Link, epoch: Int)
        case logWritten(Int, incarnation: Int)
        case worked(Int, incarnation: Int, StateWork)
        case evaluated(Int, incarnation: Int, [NodeEvent])
        case checkpoint(Int)
        case run(() -> Void)
    }

    struct Scheduled: Comparable {
        var at: Int64
        var sequence: UInt64
        var action: Action
        static func < (lhs: Scheduled, rhs: Scheduled) -> Bool { (lhs.at, lhs.sequence) < (rhs.at, rhs.sequence) }
        static func == (lhs: Scheduled, rhs: Scheduled) -> Bool { lhs.sequence == rhs.sequence }
    }

    struct Link: Hashable {
        var from: NodeID
        var to: NodeID
    }

    /// One machine: its process, if it runs, its files and its clock.
    final class Node {
        let id: NodeID
        fileprivate let position: Int
        fileprivate unowned(unsafe) var world: World!
        var shell: NodeShell?
        var incarnation = 0
        var log = MemoryLogStore()
        var state = MemoryStateStore()
        fileprivate var disk = FullableLog(MemoryLogStore())
        fileprivate var deadline = Instant.distantFuture
        fileprivate var inbox: [NodeEvent] = []
        var clockOffset: Int64 = 0
        var isClockUnknown = false
        var isDiskFull = false {
            didSet { disk.isFull = isDiskFull }
        }
        var diskFactor: Int64 = 1

        fileprivate init(_ id: NodeID, _ position: Int) {
            self.id = id
            self.position = position
        }

        var core: NodeCore? {
            get { shell?.core.value }
            set {
                guard let newValue else { return }
                shell?.core.value = newValue
            }
        }
    }

    let settings: Settings
    let topology: Topology
    let rows: [Mutation]
    var random: SplitMix64
    private(set) var now: Int64 = 0
    private var queue = Heap<Scheduled>()
    private var sequence: UInt64 = 0
    var nodes: [Node] = []
    private var lastArrival: [Link: Int64] = [:]
    private var epochs: [Link: Int] = [:]
    var cut: Set<Link> = []
    /// What was committed: one command an index, the same everywhere.
    private(set) var committed: [RangeID: [LogIndex: Command]] = [:]
    var failures: [String] = []
    var onAnswer: (Int, GatewayAnswer) -> Void = { _, _ in }
    var onCrash: (Int) -> Void = { _ in }
    /// A node that applies something else than it is given.
    var mangle: (Int, ApplyBatch) -> ApplyBatch = { $1 }
    /// Which nodes collect old versions, as soon as they may.
    var collects: (Int) -> Bool = { _ in true }
    /// What leaders have found by comparing digests.
    fileprivate(set) var divergences: [Divergence] = []
    /// Looks at every frame that is sent; `false` loses it.
    var filter: (NodeFrame) -> Bool = { _ in true }

    static let base: Int64 = 1_700_000_000_000_000_000
    static let data = RangeID(10)
    static let span = KeySpan(prefix: KeyEncoder.prefix(table: TableID(7)))

    static func key(_ number: Int) -> Key { Key(span.lower.bytes + [1, UInt8(number >> 8), UInt8(number & 0xFF)]) }

    init(seed: UInt64, _ settings: Settings = Settings()) throws {
        self.settings = settings
        random = SplitMix64(seed: seed)
        topology = try Topology.local(nodes: settings.nodes)
        let table = TableDescriptor(
            id: TableID(7), name: "items", locality: .regional(in: "local"), goal: .zone, placement: .unrestricted,
            mode: .synchronous, schema: [])
        let plan = try ReplicaPlanner(topology: topology).plan(table, range: Self.data)
        let record = TableRecord(
            descriptor: table, ranges: [RangeDescriptor(id: Self.data, span: Self.span, table: table.id, plan: plan)])
        rows = [Mutation(key: try Catalog.key(ofTable: "items"), value: try record.encoded())]
        nodes = topology.nodes.enumerated().map { Node($1.id, $0) }
        for node in nodes { node.world = self }
        for position in nodes.indices { start(position) }
    }

    // MARK: Time

    func moment(_ position: Int) -> Moment {
        let node = nodes[position]
        let reading = Timestamp(rawValue: Self.base + now + node.clockOffset)
        return Moment(
            instant: Instant(rawValue: now + 1_000_000),
            clock: node.isClockUnknown
                ? .unknown : ClockInterval(reading: reading, errorNanoseconds: settings.epsilonNanoseconds))
    }

    func schedule(after delay: Int64, _ action: Action) {
        queue.insert(Scheduled(at: now + max(0, delay), sequence: sequence, action: action))
        sequence += 1
    }

    func after(_ delay: Int64, _ body: @escaping () -> Void) { schedule(after: delay, .run(body)) }

    func below(_ limit: Int64) -> Int64 { Int64(random.below(UInt64(max(1, limit)))) }

    /// Runs for a while, or until something holds.
    @discardableResult
    func run(milliseconds: Int64, until isDone: () -> Bool = { false }) -> Bool {
        let end = now + milliseconds * 1_000_000
        while let next = queue.min, next.at <= end {
            if isDone() { return true }
            queue.removeMin()
            now = next.at
            perform(next.action)
        }
        now = max(now, isDone() ? now : end)
        return isDone()
    }

    private func perform(_ action: Action) {
        switch action {
        case .wake(let position, let incarnation, let at):
            guard nodes[position].incarnation == incarnation, nodes[position].deadline == at else { return }
            step(position, [])
        case .deliver(let frame, let link, let epoch):
            guard epochs[link, default: 0] == epoch, !cut.contains(link) else { return }
            let position = Int(frame.to.rawValue) - 1
            if nodes[position].core != nil { step(position, [.frame(frame)]) }
        case .logWritten(let position, let incarnation):
            guard nodes[position].incarnation == incarnation else { return }
            logWritten(position)
        case .worked(let position, let incarnation, let work):
            guard nodes[position].incarnation == incarnation else { return }
            worked(position, work)
        case .evaluated(let position, let incarnation, let results):
            guard nodes[position].incarnation == incarnation else { return }
            step(position, results)
        case .checkpoint(let position):
            checkpoint(position)
        case .run(let body):
            body()
        }
    }

    // MARK: Nodes

    func start(_ position: Int) {
        let node = nodes[position]
        guard node.shell == nil else { return }
        var configuration = NodeConfiguration(node: node.id, topology: topology, seed: random.next())
        configuration.retainedLogEntries = settings.retainedLogEntries
        configuration.quiesceAfterNanoseconds = settings.quiesceAfterNanoseconds
        configuration.retentionNanoseconds = settings.retentionNanoseconds
        node.incarnation += 1
        node.deadline = .distantFuture
        node.disk = FullableLog(node.log)
        node.disk.isFull = node.isDiskFull
        var timing = ShellTiming()
        // When the test says.
        timing.checkpointNanoseconds = .max / 4
        timing.inspectionNanoseconds = .max / 4
        timing.collectionNanoseconds = 10_000_000
        timing.snapshotChunkByteCount = 256
        do {
            let shell = try NodeShell(
                configuration: configuration, log: node.disk, state: WatchedRows(node.state, of: node), timing: timing,
                now: { moment(position) }, salvage: { _ in })
            // The catalog's rows are given, not replicated.
            shell.core.value = try NodeCore(
                configuration: configuration, logs: node.log.load(), states: node.state.load(), systemRows: rows,
                at: moment(position))
            shell.attach(to: node)
            node.shell = shell
        } catch {
            failures.append("node \(position) does not start: \(error)")
            return
        }
        step(position, [.tick])
    }

    /// Dies between any two writes: what the log was writing may be written or not, unsynced rows are gone.
    func crash(_ position: Int) {
        let node = nodes[position]
        guard let shell = node.shell else { return }
        let batch = shell.log.batch
        if !batch.isEmpty, random.below(2) == 0 { try? node.log.write(batch) }
        if random.below(3) == 0 { _ = node.state.checkpoint() }
        node.shell = nil
        node.incarnation += 1
        node.inbox = []
        node.log = node.log.reopened()
        node.state = node.state.reopened(afterCrash: true)
        for other in nodes { reset(Link(from: nodes[position].id, to: other.id)) }
        for other in nodes { reset(Link(from: other.id, to: nodes[position].id)) }
        onCrash(position)
    }

    func step(_ position: Int, _ events: [NodeEvent]) {
        let node = nodes[position]
        guard let shell = node.shell else { return }
        node.inbox += events
        repeat {
            shell.begin()
            shell.finish()
        } while shell.isToGoOn || !node.inbox.isEmpty
        let now = moment(position).instant
        if shell.deadline != node.deadline {
            node.deadline = shell.deadline
            guard shell.deadline < .distantFuture else { return }
        } else if shell.deadline > now {
            return
        }
        // A step that asks for another one at the same moment would never end.
        let wait = max(1000, shell.deadline.rawValue - now.rawValue)
        schedule(after: wait, .wake(position, incarnation: node.incarnation, at: shell.deadline))
    }

    // MARK: Links

    func send(_ frame: NodeFrame) {
        let link = Link(from: frame.from, to: frame.to)
        guard !cut.contains(link), filter(frame) else { return }
        let delay = settings.delayNanoseconds / 2 + below(settings.delayNanoseconds)
        let at = max(now + delay, lastArrival[link] ?? 0)
        lastArrival[link] = at
        let copies = random.below(1000) < settings.doubledPerThousand ? 2 : 1
        for _ in 0..<copies {
            schedule(after: at - now, .deliver(frame, link: link, epoch: epochs[link, default: 0]))
        }
    }

    /// Loses what is under way, as a connection that breaks does.
    func reset(_ link: Link) { epochs[link, default: 0] += 1 }

    func isolate(_ position: Int) {
        for other in nodes where other.id != nodes[position].id {
            for link in [
                Link(from: nodes[position].id, to: other.id), Link(from: other.id, to: nodes[position].id),
            ] {
                cut.insert(link)
                reset(link)
            }
        }
    }

    // MARK: Disks

    fileprivate func writeLog(_ position: Int) {
        let node = nodes[position]
        guard let shell = node.shell, shell.log.begin() else { return }
        let delay = settings.diskNanoseconds * node.diskFactor
        schedule(after: delay / 2 + below(delay), .logWritten(position, incarnation: node.incarnation))
    }

    private func logWritten(_ position: Int) {
        guard let written = nodes[position].shell?.log.perform() else { return }
        for frame in written.frames { send(frame) }
        step(position, written.events)
        guard written.isToBeTriedAgain else { return writeLog(position) }
        schedule(after: 50_000_000, .logWritten(position, incarnation: nodes[position].incarnation))
    }

    fileprivate func work(_ position: Int) {
        let node = nodes[position]
        guard let work = node.shell?.state.begin() else { return }
        let delay = 50_000 * node.diskFactor
        schedule(after: delay / 2 + below(delay), .worked(position, incarnation: node.incarnation, work))
    }

    private func worked(_ position: Int, _ work: StateWork) {
        guard let state = nodes[position].shell?.state else { return }
        let outcome = state.perform(work)
        state.end(work, outcome)
        if case .snapshotWritten(let result)? = outcome.events.first, case .installed = result.progress {
            snapshotsInstalled += 1
        }
        step(position, outcome.events)
        self.work(position)
    }

    private(set) var snapshotsInstalled = 0
    fileprivate(set) var steps = 0

    func checkpoint(_ position: Int) {
        guard let shell = nodes[position].shell else { return }
        if shell.state.append(.checkpoint(nil)) { work(position) }
    }

    /// State Machine Safety (Raft figure 3): the same command at an index, on every node, in every life.
    fileprivate func note(_ batch: ApplyBatch) {
        for indexed in batch.commands {
            if let known = committed[batch.range]?[indexed.index] {
                if known != indexed.command { failures.append("\(batch.range) differs at \(indexed.index)") }
            } else {
                committed[batch.range, default: [:]][indexed.index] = indexed.command
            }
        }
    }

    /// The position of the node that leads the data range with the highest term.
    var leader: Int? {
        nodes.indices.filter { replica($0)?.raft.role == .leader }
            .max { replica($0)!.raft.term < replica($1)!.raft.term }
    }

    func replica(_ position: Int, _ range: RangeID = World.data) -> Replica? {
        guard let core = nodes[position].core, let slot = core.slots[range] else { return nil }
        return core.replicas[slot]
    }

    func applied(_ position: Int) -> LogPosition {
        nodes[position].state.load()[Self.data]?.position ?? .zero
    }

    func contents(_ position: Int) -> [KeyedVersion] {
        (try? nodes[position].state.makeReader().scan(
            Self.span, at: .distantFuture, limit: .max, byteLimit: .max)) ?? []
    }
}

extension World.Node: NodePort {
    func takeEvents(_ events: inout [NodeEvent]) {
        events += inbox
        inbox = []
    }

    func now() -> Moment { world.moment(position) }
    func send(_ frame: NodeFrame) { world.send(frame) }
    func answer(_ answers: [GatewayAnswer]) { for answer in answers { world.onAnswer(position, answer) } }
    func logWaits() { world.writeLog(position) }
    func stateWaits() { world.work(position) }
    func willStep(_ eventCount: Int) { world.steps += 1 }

    func stepped(_ effects: borrowing NodeEffects, at moment: Moment) {
        for batch in effects.applies { world.note(batch) }
        world.divergences += effects.divergences
    }

    func delays(_ results: [NodeEvent]) -> Bool {
        world.schedule(after: world.below(50_000), .evaluated(position, incarnation: incarnation, results))
        return true
    }

    func note(_ error: any Error, while activity: String) { world.failures.append("\(activity): \(error)") }
}

/// A log on a disk that can be full.
private final class FullableLog: LogStore, @unchecked Sendable {
    private let store: MemoryLogStore
    var isFull = false

    init(_ store: MemoryLogStore) { self.store = store }

    func load() -> [RangeID: StoredLog] { store.load() }

    func write(_ writes: [LogWrite]) throws {
        if isFull { throw MeridianError(.diskFull, "no space for the log") }
        try store.write(writes)
    }

    var pendingCheckpointByteCount: Int { 0 }
    func checkpoint() {}
    func scrub(_ forgotten: [RangeID: LogIndex]) -> Bool { store.scrub(forgotten) }
    func close() {}
}

/// Rows that a test can have applied wrongly, or not collected.
private final class WatchedRows: StateStore, @unchecked Sendable {
    private let store: MemoryStateStore
    private unowned let node: World.Node

    init(_ store: MemoryStateStore, of node: World.Node) {
        self.store = store
        self.node = node
    }

    func apply(_ batches: [ApplyBatch]) throws {
        try store.apply(batches.map { node.world.mangle(node.position, $0) })
    }

    func uncollected() -> [RangeID] { node.world.collects(node.position) ? store.uncollected() : [] }

    func load() -> [RangeID: AppliedState] { store.load() }
    func takeReports() -> [DigestReport] { store.takeReports() }
    func makeReader() -> any StateReader { store.makeReader() }
    func checkpoint() -> [RangeID: LogIndex] { store.checkpoint() }
    var pendingCheckpointByteCount: Int { store.pendingCheckpointByteCount }
    func collectGarbage(of range: RangeID, in span: KeySpan, limit: Int) throws -> CollectionProgress {
        try store.collectGarbage(of: range, in: span, limit: limit)
    }
    func inspect(_ range: RangeID, in span: KeySpan, limit: Int) throws -> InspectionProgress {
        try store.inspect(range, in: span, limit: limit)
    }
    func openSnapshot(of range: RangeID, span: KeySpan) throws -> any SnapshotReader {
        try store.openSnapshot(of: range, span: span)
    }
    func receiveSnapshot(of range: RangeID, span: KeySpan, state: AppliedState) throws -> any SnapshotWriter {
        try store.receiveSnapshot(of: range, span: span, state: state)
    }
    func remove(_ range: RangeID, span: KeySpan) throws { try store.remove(range, span: span) }
    func scrub() -> Bool { store.scrub() }
    func close() {}
}
