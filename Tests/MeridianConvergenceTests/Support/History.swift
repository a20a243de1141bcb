import MeridianCore
import Testing

@testable import MeridianConvergence

/// Copies of one row that write, delete, ship and merge at random, and a ledger of who could have known what. The
/// ledger is kept by sets of writes and owes nothing to version vectors.
struct History {
    struct Options {
        var mayDelete = true
        /// Whether each write's registers have values that no other write has.
        var isUnique = false
    }

    /// A write or a deletion, known by its position in `writes`.
    struct Write {
        var stamp: WriteStamp
        /// `nil` for a deletion.
        var row: [Value]?
        /// What its copy showed; `nil` when the row was not there.
        var shown: [Value]?
        /// What its copy had heard of, itself not among it.
        var sees: Set<Int>
    }

    struct Shipment {
        var record: Record
        var writes: Set<Int>
    }

    /// One merge that happened, for the laws to be held against.
    struct Merge {
        var mine: Shipment
        var other: Shipment
        var result: Record
        var hasChanged: Bool
        var conflicts: [Conflict]
    }

    let table: TestTable
    let seed: UInt64
    let options: Options
    private(set) var writes: [Write] = []
    private(set) var shipments: [Shipment] = []
    private(set) var merges: [Merge] = []
    /// The last word of each copy, once all have merged all.
    private(set) var settled: [Shipment] = []
    private var copies: [Shipment?]
    private var clocks: [Int64]
    private var random: SplitMix64

    var shape: RecordShape { table.shape }
    var comment: Comment { "\(table.name), seed \(seed)" }

    init(_ table: TestTable, seed: UInt64, _ options: Options = Options()) throws {
        self.table = table
        self.seed = seed
        self.options = options
        random = SplitMix64(seed: seed)
        let count = 2 + random.index(below: 4)
        copies = Array(repeating: nil, count: count)
        clocks = []
        for _ in 0..<count { clocks.append(Int64(random.below(40))) }
        for _ in 0..<(10 + random.index(below: 40)) { try step() }
        try settle()
    }

    private mutating func step() throws {
        let copy = random.index(below: copies.count)
        // Clocks that stand still, and those that run ahead.
        clocks[copy] += random.pick([0, 0, 1, 5, 30])
        switch random.below(10) {
        case 0..<5: try write(at: copy)
        case 5 where options.mayDelete: delete(at: copy)
        default:
            if let shipment = shipments.isEmpty ? nil : random.pick(shipments) { merge(shipment, into: copy) }
        }
        if let shipment = copies[copy], random.isTrue(oneIn: 2) { shipments.append(shipment) }
    }

    private mutating func write(at copy: Int) throws {
        let earlier = copies[copy]
        let shown = earlier.flatMap { $0.record.isAlive ? $0.record.row(shape) : nil }
        let row = random.row(shape, over: shown, unique: options.isUnique ? writes.count : nil)
        let record = try Record(
            writing: row, over: earlier?.record, shape, by: origin(copy), at: Timestamp(rawValue: clocks[copy]),
            name: "t")
        note(record, row: row, shown: shown, at: copy)
    }

    private mutating func delete(at copy: Int) {
        guard var record = copies[copy]?.record, record.isAlive else { return }
        let shown = record.row(shape)
        record.delete(by: origin(copy), at: Timestamp(rawValue: clocks[copy]))
        note(record, row: nil, shown: shown, at: copy)
    }

    /// Numbers with gaps, and not in the order of the copies.
    private func origin(_ copy: Int) -> Origin { Origin(UInt32([7, 3, 900, 1, 4][copy])) }

    private mutating func note(_ record: Record, row: [Value]?, shown: [Value]?, at copy: Int) {
        let sees = copies[copy]?.writes ?? []
        let mine = sees.filter { writes[$0].stamp.dot.origin == origin(copy) }
        let stamp = record.life.stamp
        #expect(stamp.dot == Dot(origin(copy), UInt64(mine.count + 1)), comment)
        #expect(stamp.time.rawValue >= clocks[copy], comment)
        #expect(sees.allSatisfy { writes[$0].stamp < stamp }, "a stamp is not above what was seen, seed \(seed)")
        writes.append(Write(stamp: stamp, row: row, shown: shown, sees: sees))
        copies[copy] = Shipment(record: record, writes: sees.union([writes.count - 1]))
    }

    private mutating func merge(_ other: Shipment, into copy: Int) {
        guard let mine = copies[copy] else {
            copies[copy] = other
            return
        }
        var record = mine.record
        var conflicts: [Conflict] = []
        let hasChanged = record.merge(other.record, shape) { conflicts.append($0) }
        copies[copy] = Shipment(record: record, writes: mine.writes.union(other.writes))
        merges.append(
            Merge(mine: mine, other: other, result: record, hasChanged: hasChanged, conflicts: conflicts))
    }

    /// Everybody hears of everybody's last record, each in an order of its own.
    private mutating func settle() throws {
        if copies.allSatisfy({ $0 == nil }) { try write(at: 0) }
        let last = copies.compactMap { $0 }
        for copy in copies.indices {
            for shipment in last.shuffled(using: &random) { merge(shipment, into: copy) }
        }
        settled = copies.compactMap { $0 }
    }

    // MARK: What the ledger says

    func index(of stamp: WriteStamp) -> Int? { writes.firstIndex { $0.stamp == stamp } }

    /// The latest of these writes by its stamp.
    func latest(_ known: Set<Int>) -> Int? { known.max { writes[$0].stamp < writes[$1].stamp } }

    /// Those that none of the others has seen.
    func maximal(_ known: Set<Int>) -> Set<Int> {
        known.filter { write in !known.contains { writes[$0].sees.contains(write) } }
    }

    func vector(_ known: Set<Int>) -> VersionVector {
        var counters: [Origin: UInt64] = [:]
        for write in known { counters[writes[write].stamp.dot.origin, default: 0] += 1 }
        return VersionVector(sorted: counters.map { Dot($0.key, $0.value) }.sorted())
    }

    func content(_ field: Int, _ row: [Value]) -> [Value] { shape.content(of: shape.fields[field], in: row) }

    /// The writes that gave a register new contents.
    func registerWrites(_ field: Int) -> Set<Int> {
        Set(
            writes.indices.filter { index in
                guard let row = writes[index].row else { return false }
                guard let shown = writes[index].shown, shape.fields[field].columns.count == 1 else { return true }
                return content(field, row) != content(field, shown)
            })
    }
}

extension Record {
    func merged(with other: Record, _ shape: RecordShape) -> Record {
        var merged = self
        _ = merged.merge(other, shape)
        return merged
    }

    func bytes(_ shape: RecordShape) throws -> [UInt8] { try RecordCoding.encode(self, shape, name: "t") }
}
