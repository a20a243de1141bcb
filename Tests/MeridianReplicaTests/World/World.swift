import HeapModule
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianStorage

@testable import MeridianReplica

/// A cluster of `NodeCore`s in virtual time: links with delay, loss and doubling, disks that take their time and crash
/// between any two writes, clocks that err within their bound. The same seed gives the same run.
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
        case worked(Int, incarnation: Int)
        case evaluated(Int, incarnation: Int, EvaluationResult)
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

    enum Work {
        case apply(ApplyBatch)
        case read(SnapshotRead)
        case write(SnapshotWrite)
    }

    struct Node {
        let id: NodeID
        var core: NodeCore?
        var incarnation = 0
        var log = MemoryLogStore()
        var state = MemoryStateStore()
        var reader: (any StateReader)?
        var deadline = Instant.distantFuture
        var jobs: [LogJob] = []
        var writing: [LogJob] = []
        var work: [Work] = []
        var working: [Work] = []
        var readers: [SnapshotStreamID: any SnapshotReader] = [:]
        var writers: [RangeID: (SnapshotStreamID, any SnapshotWriter)] = [:]
        var clockOffset: Int64 = 0
        var isClockUnknown = false
        var isDiskFull = false
        var diskFactor: Int64 = 1
        var hasToldFull = false
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
    private(set) var divergences: [Divergence] = []
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
        nodes = topology.nodes.map { Node(id: $0.id) }
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
        case .worked(let position, let incarnation):
            guard nodes[position].incarnation == incarnation else { return }
            worked(position)
        case .evaluated(let position, let incarnation, let result):
            guard nodes[position].incarnation == incarnation else { return }
            step(position, [.evaluated(result)])
        case .checkpoint(let position):
            checkpoint(position)
        case .run(let body):
            body()
        }
    }

    // MARK: Nodes

    func start(_ position: Int) {
        guard nodes[position].core == nil else { return }
        var configuration = NodeConfiguration(
            node: nodes[position].id, topology: topology, seed: random.next())
        configuration.retainedLogEntries = settings.retainedLogEntries
        configuration.quiesceAfterNanoseconds = settings.quiesceAfterNanoseconds
        configuration.retentionNanoseconds = settings.retentionNanoseconds
        nodes[position].incarnation += 1
        nodes[position].reader = nodes[position].state.makeReader()
        nodes[position].deadline = .distantFuture
        do {
            nodes[position].core = try NodeCore(
                configuration: configuration, logs: nodes[position].log.load(), states: nodes[position].state.load(),
                systemRows: rows, at: moment(position))
        } catch {
            failures.append("node \(position) does not start: \(error)")
            return
        }
        step(position, [.tick])
    }

    /// Dies between any two writes: what the log was writing may be written or not, unsynced rows are gone.
    func crash(_ position: Int) {
        guard nodes[position].core != nil else { return }
        if !nodes[position].writing.isEmpty, random.below(2) == 0 {
            try? nodes[position].log.write(nodes[position].writing.flatMap(\.writes))
        }
        if random.below(3) == 0 { _ = nodes[position].state.checkpoint() }
        nodes[position].core = nil
        nodes[position].incarnation += 1
        nodes[position].jobs = []
        nodes[position].writing = []
        nodes[position].work = []
        nodes[position].working = []
        nodes[position].readers = [:]
        nodes[position].writers = [:]
        nodes[position].hasToldFull = false
        nodes[position].log = nodes[position].log.reopened()
        nodes[position].state = nodes[position].state.reopened(afterCrash: true)
        for other in nodes { reset(Link(from: nodes[position].id, to: other.id)) }
        for other in nodes { reset(Link(from: other.id, to: nodes[position].id)) }
        onCrash(position)
    }

    func step(_ position: Int, _ events: [NodeEvent]) {
        guard nodes[position].core != nil else { return }
        steps += 1
        let moment = moment(position)
        var events = events
        if moment.instant >= nodes[position].deadline { events.append(.tick) }
        let effects = nodes[position].core!.step(events, at: moment) ?? NodeEffects()
        let incarnation = nodes[position].incarnation
        for frame in effects.frames { send(frame) }
        if !effects.log.isEmpty {
            nodes[position].jobs.append(effects.log)
            writeLog(position)
        }
        for batch in effects.applies {
            note(batch)
            nodes[position].work.append(.apply(batch))
        }
        for read in effects.snapshotReads { nodes[position].work.append(.read(read)) }
        for write in effects.snapshotWrites { nodes[position].work.append(.write(write)) }
        work(position)
        for evaluation in effects.evaluations {
            let result = evaluation.run(with: nodes[position].reader!)
            schedule(after: below(50_000), .evaluated(position, incarnation: incarnation, result))
        }
        divergences += effects.divergences
        for answer in effects.answers { onAnswer(position, answer) }
        let deadline = nodes[position].core!.deadline
        if deadline != nodes[position].deadline {
            nodes[position].deadline = deadline
            guard deadline < .distantFuture else { return }
            // A step that asks for another one at the same moment would never end.
            let wait = max(1000, deadline.rawValue - moment.instant.rawValue)
            schedule(after: wait, .wake(position, incarnation: incarnation, at: deadline))
        } else if deadline <= moment.instant {
            schedule(after: 1000, .wake(position, incarnation: incarnation, at: deadline))
        }
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

    private func writeLog(_ position: Int) {
        guard nodes[position].writing.isEmpty, !nodes[position].jobs.isEmpty else { return }
        nodes[position].writing = nodes[position].jobs
        nodes[position].jobs = []
        let delay = settings.diskNanoseconds * nodes[position].diskFactor
        schedule(
            after: delay / 2 + below(delay), .logWritten(position, incarnation: nodes[position].incarnation))
    }

    private func logWritten(_ position: Int) {
        let jobs = nodes[position].writing
        let writes = jobs.flatMap(\.writes)
        var events: [NodeEvent] = []
        if nodes[position].isDiskFull, !writes.isEmpty {
            schedule(after: 50_000_000, .logWritten(position, incarnation: nodes[position].incarnation))
            guard !nodes[position].hasToldFull else { return }
            nodes[position].hasToldFull = true
            step(position, [.logFailed(MeridianError(.diskFull, "no space for the log"))])
            return
        }
        try? nodes[position].log.write(writes)
        nodes[position].writing = []
        if nodes[position].hasToldFull {
            nodes[position].hasToldFull = false
            events.append(.logRecovered)
        }
        for frame in jobs.flatMap(\.framesAfter) { send(frame) }
        events.append(.persisted(jobs.flatMap(\.confirmations)))
        step(position, events)
        writeLog(position)
    }

    private func work(_ position: Int) {
        guard nodes[position].working.isEmpty, !nodes[position].work.isEmpty else { return }
        nodes[position].working = nodes[position].work
        nodes[position].work = []
        let delay = 50_000 * nodes[position].diskFactor
        schedule(after: delay / 2 + below(delay), .worked(position, incarnation: nodes[position].incarnation))
    }

    private func worked(_ position: Int) {
        let working = nodes[position].working
        nodes[position].working = []
        var events: [NodeEvent] = []
        for item in working {
            switch item {
            case .apply(let batch):
                try? nodes[position].state.apply([mangle(position, batch)])
                if batch.isCompared { events.append(.digested(nodes[position].state.takeReports())) }
                events.append(.applied([AppliedConfirmation(range: batch.range, index: batch.state.position.index)]))
            case .read(let read): if let event = self.read(read, position) { events.append(event) }
            case .write(let write): events.append(self.write(write, position))
            }
        }
        if collects(position) { collect(position) }
        step(position, events)
        work(position)
    }

    private func collect(_ position: Int) {
        for range in nodes[position].state.uncollected() {
            let span = range == Self.data ? Self.span : Catalog.systemSpan
            _ = try? nodes[position].state.collectGarbage(of: range, in: span, limit: 10_000)
        }
    }

    private func read(_ read: SnapshotRead, _ position: Int) -> NodeEvent? {
        if read.isEnd {
            nodes[position].readers[read.stream] = nil
            return nil
        }
        do {
            let reader =
                try nodes[position].readers[read.stream]
                ?? nodes[position].state.openSnapshot(of: read.range, span: read.span)
            nodes[position].readers[read.stream] = reader
            let chunk = try reader.chunk(at: read.offset, byteLimit: 256)
            return .snapshotRead(
                SnapshotReadResult(stream: read.stream, state: reader.state, chunk: chunk))
        } catch {
            return .snapshotRead(
                SnapshotReadResult(stream: read.stream, state: nil, chunk: nil))
        }
    }

    private func write(_ write: SnapshotWrite, _ position: Int) -> NodeEvent {
        let message = write.message
        func result(_ progress: SnapshotReplyMessage.Progress) -> NodeEvent {
            .snapshotWritten(SnapshotWriteResult(write: write, progress: progress))
        }
        do {
            if let current = nodes[position].writers[write.range], current.0 != message.stream {
                nodes[position].writers[write.range] = nil
            }
            let writer =
                try nodes[position].writers[write.range]?.1
                ?? nodes[position].state.receiveSnapshot(of: write.range, span: write.span, state: message.state)
            nodes[position].writers[write.range] = (message.stream, writer)
            if message.chunk.offset == writer.nextOffset { try writer.append(message.chunk) }
            guard message.chunk.isLast, message.chunk.offset < writer.nextOffset else {
                return result(.wants(offset: writer.nextOffset))
            }
            let installation = try writer.commit()
            nodes[position].writers[write.range] = nil
            if case .passed(let applied) = installation { return result(.installed(applied.index)) }
            snapshotsInstalled += 1
            return result(.installed(message.state.position.index))
        } catch {
            nodes[position].writers[write.range] = nil
            return result(.failed)
        }
    }
    private(set) var snapshotsInstalled = 0
    private(set) var steps = 0

    func checkpoint(_ position: Int) {
        guard nodes[position].core != nil else { return }
        let durable = nodes[position].state.checkpoint()
        step(
            position,
            [
                .checkpointed(
                    durable.sorted { $0.key < $1.key }.map { AppliedConfirmation(range: $0.key, index: $0.value) })
            ])
    }

    /// State Machine Safety (Raft figure 3): the same command at an index, on every node, in every life.
    private func note(_ batch: ApplyBatch) {
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
        (try? nodes[position].state.makeReader().rows(of: Self.span, at: .distantFuture)) ?? []
    }
}
