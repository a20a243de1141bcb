import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianStorage

@testable import MeridianReplica

/// Node 2 of three, alone, with one range beside the system range and its two files: for what it does with them, write
/// by write. Nothing is sent anywhere.
struct OneNode {
    static let range = World.data
    let topology: Topology
    var record: TableRecord
    private(set) var core: NodeCore
    private(set) var log: MemoryLogStore
    private(set) var state: MemoryStateStore
    private var milliseconds: Int64 = 0
    /// What was handed out and is not done: of the log, of the rows, and reports.
    private(set) var waiting: [Work] = []
    /// Chunks that the rows have been given.
    private(set) var snapshotWrites: [SnapshotWrite] = []
    private(set) var salvages: [Salvage] = []
    private(set) var mendings: [MeridianError] = []

    enum Work {
        case log(LogJob)
        case apply([ApplyBatch])
        case salvage(RangeID)
    }

    /// - Parameters:
    ///   - entries: how many the log has, all of term 1.
    ///   - applied: how many of them are durable as rows.
    ///   - base: how many the log has let go of.
    init(entries: Int = 6, applied: Int = 3, base: Int = 0) throws {
        topology = try Topology.local(nodes: 3)
        let table = TableDescriptor(
            id: TableID(7), name: "items", locality: .regional(in: "local"), goal: .zone, placement: .unrestricted,
            mode: .synchronous, schema: [])
        let plan = try ReplicaPlanner(topology: topology).plan(table, range: Self.range)
        record = TableRecord(
            descriptor: table,
            ranges: [RangeDescriptor(id: Self.range, span: World.span, table: table.id, plan: plan)])
        log = MemoryLogStore()
        var write = LogWrite(range: Self.range)
        if base > 0 { write.reset = Self.position(base) }
        write.entries = (base..<entries).map { Self.entry($0 + 1) }
        write.hardState = HardState(term: Term(1))
        try log.write([write])
        state = MemoryStateStore()
        if applied > 0 {
            let commands = (1...applied).map { IndexedCommand(index: LogIndex(UInt64($0)), command: Self.command($0)) }
            let position = AppliedState(
                position: Self.position(applied), membership: record.ranges[0].membership, closed: .zero)
            try state.apply([ApplyBatch(range: Self.range, commands: commands, state: position)])
            _ = state.checkpoint()
        }
        core = try Self.core(topology, log, state, record, at: Self.moment(0))
    }

    static func position(_ index: Int, term: UInt64 = 1) -> LogPosition {
        LogPosition(term: Term(term), index: LogIndex(UInt64(index)))
    }

    static func command(_ number: Int) -> Command {
        Command(
            request: RequestID(high: 1, low: UInt64(number)),
            timestamp: Timestamp(rawValue: World.base + Int64(number)), closed: .zero,
            mutations: [Mutation(key: World.key(number), value: [1])])
    }

    static func entry(_ number: Int) -> Entry {
        Entry(term: Term(1), index: LogIndex(UInt64(number)), payload: .command(command(number)))
    }

    static func moment(_ milliseconds: Int64) -> Moment {
        Moment(
            instant: Instant(rawValue: 1_000_000 * milliseconds),
            clock: ClockInterval(
                reading: Timestamp(rawValue: World.base + 1_000_000 * milliseconds), errorNanoseconds: 1_000_000))
    }

    private static func core(
        _ topology: Topology, _ log: MemoryLogStore, _ state: MemoryStateStore, _ record: TableRecord, at now: Moment
    ) throws -> NodeCore {
        let row = Mutation(key: try Catalog.key(ofTable: "items"), value: try record.encoded())
        return try NodeCore(
            configuration: NodeConfiguration(node: NodeID(2), topology: topology, seed: 1), logs: log.load(),
            states: state.load(), systemRows: [row], at: now)
    }

    // MARK: What happens

    mutating func step(_ events: [NodeEvent]) {
        milliseconds += 10
        guard let effects = core.step(events, at: Self.moment(milliseconds)) else { return }
        if !effects.log.isEmpty { waiting.append(.log(effects.log)) }
        if !effects.applies.isEmpty { waiting.append(.apply(effects.applies)) }
        salvages += effects.salvages
        for salvage in effects.salvages { waiting.append(.salvage(salvage.range)) }
        snapshotWrites += effects.snapshotWrites
        mendings += effects.mendings
    }

    /// The files do the first thing that waits, and the node hears of it.
    /// - Returns: `false` when nothing waits.
    mutating func work() throws -> Bool {
        guard !waiting.isEmpty else { return false }
        switch waiting.removeFirst() {
        case .log(let job):
            try log.write(job.writes)
            step([.persisted(job.confirmations)])
        case .apply(let batches):
            try state.apply(batches)
            step([.applied(batches.map { AppliedConfirmation(range: $0.range, index: $0.state.position.index) })])
        case .salvage(let range): step([.salvaged(range)])
        }
        return true
    }

    mutating func workToTheEnd() throws { while try work() {} }

    /// The node loses power, and starts again with what was durable.
    mutating func restart() throws {
        log = log.reopened()
        state = state.reopened(afterCrash: true)
        waiting = []
        milliseconds += 1_000
        core = try Self.core(topology, log, state, record, at: Self.moment(milliseconds))
        step([.tick])
    }

    var replica: Replica? { core.slots[Self.range].map { core.replicas[$0] } }

    /// The record is changed, and the node hears of it.
    mutating func change(_ body: (inout RangeDescriptor) -> Void) throws {
        record.version += 1
        record.ranges[0].revision += 1
        body(&record.ranges[0])
        let row = Mutation(key: try Catalog.key(ofTable: "items"), value: try record.encoded())
        step([.systemRows([row])])
    }

    mutating func fence() throws { try change { $0.fence = $0.generation.next } }

    mutating func begin(seed: UInt32, fork: LogPosition) throws {
        try change { range in
            range.generation = range.generation.next
            range.fence = nil
            range.keepsEarlierHistory = true
            range.forks.append(.init(index: fork.index, completeTo: .zero))
            range.seed = .init(node: NodeID(seed), fork: fork)
            range.transition = .init(
                members: [Member(node: NodeID(seed), region: "local", role: .voter)], commitRule: .majority)
        }
    }

    /// The node is no member any more, and nothing that it does not know can say otherwise.
    mutating func leave() throws {
        if let slot = core.slots[Self.range] { core.replicas[slot].isStored = false }
        try change { range in
            range.setMembers(range.members.filter { $0.node != NodeID(2) } + [])
            range.preferredLeaders.removeAll { $0 == NodeID(2) }
        }
    }

    /// A whole snapshot of the old history comes in.
    mutating func receiveSnapshot(endingAt index: Int) {
        let state = AppliedState(
            position: Self.position(index), membership: record.ranges[0].membership, closed: .zero)
        let chunk = SnapshotChunk(offset: 0, bytes: [], isLast: true, checksum: Checksum.of([]))
        let stream = SnapshotStreamID(range: Self.range, term: Term(1), number: 1)
        let message = SnapshotChunkMessage(stream: stream, state: state, chunk: chunk)
        step([
            .frame(
                NodeFrame(
                    from: NodeID(1), to: NodeID(2), clock: nil, sent: .zero, messages: [.snapshotChunk(message)]))
        ])
    }

    /// The rows have taken it, or not.
    mutating func answerSnapshot(isInstalled: Bool = true) {
        let write = snapshotWrites.removeFirst()
        let progress: SnapshotReplyMessage.Progress =
            isInstalled ? .installed(write.message.state.position.index) : .failed
        step([.snapshotWritten(SnapshotWriteResult(write: write, progress: progress))])
    }

    /// Another asks for this node's vote, by order of its leader.
    /// - Returns: whether it gets it.
    mutating func vote(for node: UInt32, _ last: LogPosition, in term: Term) throws -> Bool {
        let request = RaftMessage.RequestVote(isPreVote: false, last: last, isTransfer: true)
        let message = RaftMessage(from: NodeID(node), to: NodeID(2), term: term, body: .requestVote(request))
        milliseconds += 10
        let effects = core.step(
            [
                .frame(
                    NodeFrame(
                        from: NodeID(node), to: NodeID(2), clock: nil, sent: .zero,
                        messages: [.raft(Self.range, message)]))
            ], at: Self.moment(milliseconds))
        guard let effects else { return false }
        for frame in effects.frames + effects.log.framesAfter {
            for case .raft(Self.range, let answer) in frame.messages {
                if case .vote(let vote) = answer.body { return vote.isGranted }
            }
        }
        return false
    }
}
