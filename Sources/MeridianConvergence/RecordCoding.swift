import MeridianCore

/// Records as the values of stored rows: the row's own columns, then a number with what a reader must know, then the
/// rest as bytes. So a reader of rows drops two values, and only who writes or merges decodes the rest.
///
/// The bytes are a `RowCoding` of: the format, the writes seen, the life's stamp, and for each cell what the columns do
/// not say. Equal records have equal bytes, in every copy: digests compare them.
package enum RecordCoding {
    /// What follows the columns of a stored row.
    package static let extraValues = 2
    private static let format: Int64 = 1

    package struct Flags: OptionSet, Sendable {
        package let rawValue: Int64
        package init(rawValue: Int64) { self.rawValue = rawValue }
        package static let isAlive = Flags(rawValue: 1)
        package static let hasSiblings = Flags(rawValue: 2)
    }

    package static func flags(of stored: [Value]) -> Flags? {
        guard stored.count >= extraValues, case .integer(let flags) = stored[stored.count - 2] else { return nil }
        return Flags(rawValue: flags)
    }

    package static func encode(_ record: Record, _ shape: RecordShape, name: String) throws(MeridianError) -> [UInt8] {
        var flags: Flags = record.isAlive ? [.isAlive] : []
        if record.hasSiblings { flags.insert(.hasSiblings) }
        var values = ValueList()
        values.put(format)
        values.put(record.seen.entries.count)
        for dot in record.seen.entries { values.put(dot) }
        values.put(record.life.stamp)
        for cell in record.cells { values.put(cell) }
        let rest = try RowCoding.encode(values.values, name: name)
        return try RowCoding.encode(record.row(shape) + [.integer(flags.rawValue), .blob(rest)], name: name)
    }

    package static func decode(_ bytes: [UInt8], _ shape: RecordShape, name: String) throws(MeridianError) -> Record {
        try decode(try RowCoding.decode(bytes, name: name), shape, name: name)
    }

    /// - Parameter stored: the values of a stored row.
    /// - Throws: `.corruption`, `.newerFormat`.
    package static func decode(_ stored: [Value], _ shape: RecordShape, name: String) throws(MeridianError) -> Record {
        guard stored.count == shape.columnCount + extraValues, let flags = flags(of: stored),
            case .blob(let rest) = stored[stored.count - 1]
        else { throw damaged(name) }
        var reader = ValueCursor(try RowCoding.decode(rest, name: name), name: name)
        let found = try reader.integer()
        guard found <= format else {
            throw MeridianError(.newerFormat, "a record of table \(name) has format \(found), known is \(format)")
        }
        var seen: [Dot] = []
        for _ in 0..<(try reader.count()) { seen.append(try reader.dot()) }
        let life = Record.Life(isAlive: flags.contains(.isAlive), stamp: try reader.stamp())
        var cells: [Record.Cell] = []
        cells.reserveCapacity(shape.fields.count)
        for field in shape.fields { cells.append(try reader.cell(field, stored)) }
        guard reader.isAtEnd else { throw damaged(name) }
        return Record(
            key: shape.key.map { stored[$0] }, seen: VersionVector(sorted: seen), life: life, cells: cells)
    }

    fileprivate static func damaged(_ name: String) -> MeridianError {
        MeridianError(.corruption, "a record of table \(name) is damaged")
    }
}

private struct ValueList {
    var values: [Value] = []

    mutating func put(_ integer: Int64) { values.append(.integer(integer)) }
    mutating func put(_ count: Int) { put(Int64(count)) }
    mutating func put(_ number: UInt64) { put(Int64(bitPattern: number)) }

    mutating func put(_ dot: Dot) {
        put(Int64(dot.origin.rawValue))
        put(dot.counter)
    }

    mutating func put(_ stamp: WriteStamp) {
        put(stamp.time.rawValue)
        put(stamp.dot)
    }

    mutating func put(_ cell: Record.Cell) {
        switch cell {
        case .register(let register): put(register.stamp)
        case .counter(let counter):
            put(counter.shares.count)
            for share in counter.shares {
                put(Int64(share.origin.rawValue))
                put(share.added)
                put(share.taken)
            }
        case .set(let set):
            put(set.members.count)
            for member in set.members {
                values.append(.blob(member.element))
                put(member.dots.count)
                for dot in member.dots { put(dot) }
            }
        case .siblings(let set):
            put(set.siblings.count)
            for sibling in set.siblings {
                put(sibling.stamp)
                values += sibling.content
                put(sibling.base == nil ? 0 : 1)
                guard let base = sibling.base else { continue }
                put(base.dot)
                values += base.content
            }
        }
    }
}

private struct ValueCursor {
    private let values: [Value]
    private let name: String
    private var position = 0

    init(_ values: [Value], name: String) {
        self.values = values
        self.name = name
    }

    var isAtEnd: Bool { position == values.count }

    private mutating func next() throws(MeridianError) -> Value {
        guard position < values.count else { throw RecordCoding.damaged(name) }
        position += 1
        return values[position - 1]
    }

    private mutating func next(_ count: Int) throws(MeridianError) -> [Value] {
        guard position + count <= values.count else { throw RecordCoding.damaged(name) }
        position += count
        return Array(values[(position - count)..<position])
    }

    mutating func integer() throws(MeridianError) -> Int64 {
        guard case .integer(let integer) = try next() else { throw RecordCoding.damaged(name) }
        return integer
    }

    mutating func count() throws(MeridianError) -> Int {
        let count = try integer()
        guard count >= 0, count <= values.count else { throw RecordCoding.damaged(name) }
        return Int(count)
    }

    private mutating func origin() throws(MeridianError) -> Origin {
        guard let number = UInt32(exactly: try integer()) else { throw RecordCoding.damaged(name) }
        return Origin(number)
    }

    mutating func dot() throws(MeridianError) -> Dot { Dot(try origin(), UInt64(bitPattern: try integer())) }

    mutating func stamp() throws(MeridianError) -> WriteStamp {
        WriteStamp(time: Timestamp(rawValue: try integer()), dot: try dot())
    }

    mutating func cell(_ field: RecordShape.Field, _ stored: [Value]) throws(MeridianError) -> Record.Cell {
        switch field.resolver {
        case .lastWriterWins:
            return .register(Register(field.columns.map { stored[$0] }, try stamp()))
        case .counter, .growOnlyCounter:
            var shares: [Counter.Share] = []
            for _ in 0..<(try count()) {
                shares.append(
                    Counter.Share(
                        origin: try origin(), added: UInt64(bitPattern: try integer()),
                        taken: UInt64(bitPattern: try integer())))
            }
            return .counter(Counter(sorted: shares))
        case .addWinsSet, .growOnlySet:
            var members: [AddWinsSet.Member] = []
            for _ in 0..<(try count()) {
                guard case .blob(let element) = try next() else { throw RecordCoding.damaged(name) }
                var dots: [Dot] = []
                for _ in 0..<(try count()) { dots.append(try dot()) }
                members.append(AddWinsSet.Member(element: element, dots: dots))
            }
            return .set(AddWinsSet(sorted: members))
        case .siblings, .merge:
            var siblings: [SiblingSet.Sibling] = []
            for _ in 0..<(try count()) {
                let stamp = try stamp()
                let content = try next(field.columns.count)
                var base: SiblingSet.Base?
                if try integer() == 1 { base = SiblingSet.Base(dot: try dot(), content: try next(field.columns.count)) }
                siblings.append(SiblingSet.Sibling(content: content, stamp: stamp, base: base))
            }
            return .siblings(SiblingSet(sorted: siblings))
        }
    }
}
