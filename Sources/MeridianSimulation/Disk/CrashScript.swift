import MeridianCore
import MeridianPlacement
import MeridianStorage

/// Crashes the stores at every write and every sync of a script, and checks what a restart finds.
///
/// The script does what a node's log and state threads do: appends, hard states, entries that replace others, cuts of
/// the log behind what is durably applied, applies, checkpoints of both files and garbage collection. Before each
/// operation of the disk a copy of it is made as a power cut at that moment leaves it, with unsynced sectors kept or
/// lost one by one, and opened:
///
/// 1. The log holds exactly what `LogStore.write` had acknowledged, or that and the whole write that was under way.
/// 2. The rows are those of some applied index, not before the last acknowledged checkpoint.
/// 3. Applying the rest of the log gives the same rows as a run without a crash.
package struct CrashScript {
    package struct Result {
        /// Disk operations at which a crash was tried.
        package var crashPoints = 0
        package var operations = 0
        /// How recoveries differed from what is promised, each with its place.
        package var failures: [String] = []
    }

    private let seed: UInt64
    private let operationCount: Int
    /// Every n-th operation of the disk is a crash point.
    private let stride: Int

    package init(seed: UInt64, operations: Int = 1_000, stride: Int = 1) {
        self.seed = seed
        operationCount = operations
        self.stride = stride
    }

    package func run() throws -> Result {
        let disk = SimulatedDisk(seed: seed)
        let storage = SQLiteStorage(Self.node, jurisdiction: Jurisdiction("EU"), disk: disk)
        let (log, state) = try storage.open()
        var script = Script(seed: seed)
        var result = Result()
        var found: [(number: Int, disk: SimulatedDisk)] = []
        disk.onOperation = { number in
            guard number % stride == 0 else { return }
            found.append((number, disk.afterPowerCut(seed: seed ^ UInt64(number))))
        }
        for _ in 0..<operationCount {
            let before = script.model
            try script.next(log, state)
            result.operations += 1
            for crash in found {
                result.crashPoints += 1
                do {
                    try Self.check(crash.disk, before: before, after: script.model)
                } catch {
                    result.failures.append("crash at disk operation \(crash.number): \(error)")
                }
            }
            found.removeAll()
        }
        disk.onOperation = nil
        return result
    }

    private static let node = NodeDescriptor(
        id: NodeID(1), name: "n1", region: "eu-central-1", zone: Zone("a"))

    private struct Difference: Error, CustomStringConvertible { let description: String }

    private static func check(_ disk: SimulatedDisk, before: Model, after: Model) throws {
        let storage = SQLiteStorage(node, jurisdiction: Jurisdiction("EU"), disk: disk)
        let (log, state) = try storage.open()
        let logs = try log.load()
        guard agree(logs, before.log.load()) || agree(logs, after.log.load()) else {
            throw Difference(
                description: "the log is neither what was acknowledged nor that and one write more: "
                    + Self.difference(logs, before.log.load()))
        }
        let applied = try state.load()
        for range in Script.ranges {
            let index = applied[range]?.position.index ?? .zero
            guard index >= before.durable[range] ?? .zero, index <= after.applied[range] ?? .zero else {
                throw Difference(description: "\(range) stands at \(index), checkpointed \(before.durable[range]!)")
            }
            guard try rows(state, range) == after.rows(range, through: index) else {
                throw Difference(description: "the rows of \(range) are not those of \(index)")
            }
            // What the log still has brings the rest back.
            let stored = logs[range] ?? StoredLog()
            guard stored.base.index <= index else {
                throw Difference(description: "\(range): the log begins after \(stored.base), rows end at \(index)")
            }
            let rest = stored.entries.filter { $0.index > index }
            guard let last = rest.last else { continue }
            try state.apply([Script.batch(range, rest)])
            guard try rows(state, range) == Model.rows(after.commands(range, through: index) + rest) else {
                throw Difference(description: "\(range): replaying up to \(last.index) gives other rows")
            }
        }
        try state.close()
        try log.close()
    }

    /// That a log was cut is not waited for, so a crash may undo it.
    private static func agree(_ found: [RangeID: StoredLog], _ expected: [RangeID: StoredLog]) -> Bool {
        Script.ranges.allSatisfy { range in
            let (found, expected) = (found[range] ?? StoredLog(), expected[range] ?? StoredLog())
            return found.hardState == expected.hardState && found.base.index <= expected.base.index
                && found.entries.filter { $0.index > expected.base.index } == expected.entries
        }
    }

    private static func difference(_ found: [RangeID: StoredLog], _ expected: [RangeID: StoredLog]) -> String {
        Script.ranges.map { range in
            let (found, expected) = (found[range] ?? StoredLog(), expected[range] ?? StoredLog())
            return "\(range): after \(found.base) \(found.entries.count) entries in \(found.hardState.term), not "
                + "after \(expected.base) \(expected.entries.count) in \(expected.hardState.term)"
        }.joined(separator: "; ")
    }

    private static func rows(_ state: any StateStore, _ range: RangeID) throws -> [Key: [UInt8]] {
        let found = try state.makeReader().rows(of: Script.span(range), at: .distantFuture)
        return Dictionary(uniqueKeysWithValues: found.map { ($0.key, $0.version.value ?? []) })
    }
}

/// What should be there.
private struct Model {
    /// A value: each acknowledged write makes a new one.
    var log = MemoryLogStore()
    /// Everything that was applied, by range, from index 1 on.
    var history: [RangeID: [Entry]] = [:]
    var applied: [RangeID: LogIndex] = [:]
    var durable: [RangeID: LogIndex] = [:]

    func commands(_ range: RangeID, through index: LogIndex) -> [Entry] {
        Array((history[range] ?? []).prefix(Int(index.rawValue)))
    }

    func rows(_ range: RangeID, through index: LogIndex) -> [Key: [UInt8]] {
        Self.rows(commands(range, through: index))
    }

    static func rows(_ entries: [Entry]) -> [Key: [UInt8]] {
        var rows: [Key: [UInt8]] = [:]
        for entry in entries {
            guard case .command(let command) = entry.payload else { continue }
            for mutation in command.mutations { rows[mutation.key] = mutation.value }
        }
        return rows
    }
}

private struct Script {
    static let ranges = [RangeID(1), RangeID(2)]
    private(set) var model = Model()
    private var random: SplitMix64
    private var clock: Int64 = 1_000_000_000
    private var term: UInt64 = 1

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    static func span(_ range: RangeID) -> KeySpan {
        KeySpan(lower: Key([UInt8(range.rawValue)]), upper: Key([UInt8(range.rawValue) + 1]))
    }

    static func batch(_ range: RangeID, _ entries: [Entry]) -> ApplyBatch {
        var closed = Timestamp.zero
        let commands = entries.compactMap { entry -> IndexedCommand? in
            guard case .command(let command) = entry.payload else { return nil }
            closed = command.closed
            return IndexedCommand(index: entry.index, command: command)
        }
        let state = AppliedState(
            position: entries[entries.count - 1].position, membership: membership, closed: closed,
            threshold: closed.advanced(byNanoseconds: -500_000))
        return ApplyBatch(range: range, commands: commands, state: state)
    }

    private static let membership = Membership(
        members: [Member(node: NodeID(1), region: "eu-central-1", role: .voter)])

    mutating func next(_ log: any LogStore, _ state: any StateStore) throws {
        let range = Self.ranges[Int(random.below(2))]
        switch random.below(100) {
        case 0..<58: try append(range, log)
        case 58..<82: try apply(range, state)
        case 82..<88:
            for (range, index) in try state.checkpoint() { model.durable[range] = index }
        case 88..<92: try log.checkpoint()
        case 92..<97: try compact(range, log)
        default:
            _ = try state.collectGarbage(of: range, in: Self.span(range), limit: 100)
        }
    }

    private mutating func append(_ range: RangeID, _ log: any LogStore) throws {
        let stored = model.log.load()[range] ?? StoredLog()
        let applied = model.applied[range] ?? .zero
        var first = LogIndex(stored.base.index.rawValue + UInt64(stored.entries.count) + 1)
        if random.below(8) == 0, first.rawValue > applied.rawValue + 1 {
            // A new leader replaces what was not applied yet.
            term += 1
            first = LogIndex(applied.rawValue + 1 + random.below(first.rawValue - applied.rawValue - 1))
        }
        var write = LogWrite(range: range)
        for offset in 0..<(1 + random.below(3)) { write.entries.append(entry(range, first.rawValue + offset)) }
        if random.below(4) == 0 {
            write.hardState = HardState(term: Term(term), vote: NodeID(1 + UInt32(random.below(3))), commit: applied)
        }
        try log.write([write])
        model.log = model.log.reopened()
        try model.log.write([write])
    }

    private mutating func entry(_ range: RangeID, _ index: UInt64) -> Entry {
        clock += 1 + Int64(random.below(1_000))
        let mutations = (0..<(1 + random.below(3))).map { _ in
            let key = Key([UInt8(range.rawValue), UInt8(random.below(40))])
            let count = Int(random.below(6) == 0 ? random.below(6_000) : random.below(200))
            let value = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            return Mutation(key: key, value: random.below(10) == 0 ? nil : value)
        }
        var unique: [Mutation] = []
        for mutation in mutations where !unique.contains(where: { $0.key == mutation.key }) { unique.append(mutation) }
        let command = Command(
            request: RequestID(using: &random), timestamp: Timestamp(rawValue: clock),
            closed: Timestamp(rawValue: clock - 1), mutations: unique)
        return Entry(term: Term(term), index: LogIndex(index), payload: .command(command))
    }

    private mutating func apply(_ range: RangeID, _ state: any StateStore) throws {
        let stored = model.log.load()[range] ?? StoredLog()
        let applied = model.applied[range] ?? .zero
        let ready = Array(stored.entries.filter { $0.index > applied }.prefix(1 + Int(random.below(5))))
        guard let last = ready.last else { return }
        try state.apply([Self.batch(range, ready)])
        model.history[range, default: []].append(contentsOf: ready)
        model.applied[range] = last.index
    }

    private mutating func compact(_ range: RangeID, _ log: any LogStore) throws {
        let stored = model.log.load()[range] ?? StoredLog()
        guard let durable = model.durable[range], let entry = stored.entries.first(where: { $0.index == durable })
        else { return }
        var write = LogWrite(range: range)
        write.compact = entry.position
        try log.write([write])
        model.log = model.log.reopened()
        try model.log.write([write])
    }
}
