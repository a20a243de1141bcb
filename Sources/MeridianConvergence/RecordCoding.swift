import MeridianCore

/// Records as the values of stored rows: the row's own columns, then a number with what a reader must know, then the
/// rest as bytes. So a reader of rows drops two values, and only who writes or merges decodes the rest.
///
/// The bytes are a `RowCoding` of: the format, the writes seen, the life's stamp, and for each cell what the columns do
/// not say. Equal records have equal bytes, in every copy: digests compare them. So bytes that no record is encoded as
/// are damaged, and not a record that is equal to none.
package enum RecordCoding {
    /// What follows the columns of a stored row.
    package static let extraValues = 2
    /// 2: erasures, settled deletions, cancelled shares of counters.
    fileprivate static let format: Int64 = 2

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
        var values = ValueList(capacity: record.cells.count * 8 + 16)
        values.put(format)
        values.put(record.erasure.rawValue)
        values.put(Int64(record.life.settled.rawValue))
        values.put(record.seen.entries.count)
        for dot in record.seen.entries { values.put(dot) }
        values.put(record.life.stamp)
        for cell in record.cells { values.put(cell) }
        let rest = try RowCoding.encode(values.values, name: name)
        var row = record.row(shape, spare: extraValues)
        row.append(.integer(flags(of: record).rawValue))
        row.append(.blob(rest))
        return try RowCoding.encode(row, name: name)
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
        return try rest.withUnsafeBufferPointer { (bytes) throws(MeridianError) -> Record in
            var reader = ValueCursor(try RowCoding.Reader(bytes, name: name), name: name)
            let record = try reader.record(stored, flags, shape)
            guard reader.isAtEnd, flags == self.flags(of: record) else { throw damaged(name) }
            return record
        }
    }

    /// When the row was erased last, as far as a stored record knows.
    package static func erasure(of bytes: [UInt8], name: String) throws(MeridianError) -> Timestamp {
        guard case .blob(let rest)? = try RowCoding.decode(bytes, name: name).last else { throw damaged(name) }
        return try rest.withUnsafeBufferPointer { (bytes) throws(MeridianError) -> Timestamp in
            var reader = ValueCursor(try RowCoding.Reader(bytes, name: name), name: name)
            return try reader.erasure()
        }
    }

    private static func flags(of record: Record) -> Flags {
        var flags: Flags = record.isAlive ? [.isAlive] : []
        if record.hasSiblings { flags.insert(.hasSiblings) }
        return flags
    }

    fileprivate static func damaged(_ name: String) -> MeridianError {
        MeridianError(.corruption, "a record of table \(name) is damaged")
    }
}

private struct ValueList {
    var values: [Value] = []

    init(capacity: Int) { values.reserveCapacity(capacity) }

    mutating func put(_ integer: Int64) { values.append(.integer(integer)) }
    mutating func put(_ count: Int) { put(Int64(count)) }
    mutating func put(_ number: UInt64) { put(Int64(bitPattern: number)) }

    mutating func put(_ sum: Int128) {
        put(Int64(truncatingIfNeeded: sum >> 64))
        put(UInt64(truncatingIfNeeded: sum))
    }

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
                put(share.dot)
                put(share.start)
                put(share.sum)
            }
            put(counter.cancellations.count)
            for cancellation in counter.cancellations {
                put(cancellation.dot)
                put(cancellation.target)
                put(cancellation.sum)
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
    private var reader: RowCoding.Reader
    private let name: String

    init(_ reader: RowCoding.Reader, name: String) {
        self.reader = reader
        self.name = name
    }

    var isAtEnd: Bool { reader.left == 0 }

    /// - Parameter stored: the values of the stored row.
    mutating func record(
        _ stored: [Value], _ flags: RecordCoding.Flags, _ shape: RecordShape
    ) throws(MeridianError) -> Record {
        let erasure = try erasure()
        guard let byte = UInt8(exactly: try integer()), let settled = Record.Settlement(rawValue: byte),
            settled == .open || !flags.contains(.isAlive)
        else { throw RecordCoding.damaged(name) }
        let seen = VersionVector(
            sorted: try ascending {
                $0.origin < $1.origin
            } _: { (reader) throws(MeridianError) in
                try reader.dot()
            })
        let life = Record.Life(isAlive: flags.contains(.isAlive), stamp: try stamp(seen), settled: settled)
        var cells: [Record.Cell] = []
        cells.reserveCapacity(shape.fields.count)
        for field in shape.fields { cells.append(try cell(field, stored, seen, life)) }
        var record = Record(key: shape.key.map { stored[$0] }, seen: seen, life: life, cells: cells)
        record.erasure = erasure
        return record
    }

    /// With the format, which stands before it.
    mutating func erasure() throws(MeridianError) -> Timestamp {
        let found = try integer()
        guard found <= RecordCoding.format else {
            throw MeridianError(
                .newerFormat, "a record of table \(name) has format \(found), known is \(RecordCoding.format)")
        }
        guard found > 0 else { throw RecordCoding.damaged(name) }
        guard found == RecordCoding.format else {
            throw MeridianError(
                .olderFormat, "a record of table \(name) has format \(found), which this program reads no more")
        }
        return Timestamp(rawValue: try integer())
    }

    private mutating func next(_ count: Int) throws(MeridianError) -> [Value] {
        guard count <= reader.left else { throw RecordCoding.damaged(name) }
        var values: [Value] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try reader.next()) }
        return values
    }

    private mutating func integer() throws(MeridianError) -> Int64 {
        guard let integer = try reader.nextInteger() else { throw RecordCoding.damaged(name) }
        return integer
    }

    private mutating func count() throws(MeridianError) -> Int {
        let count = try integer()
        guard count >= 0, count <= reader.left else { throw RecordCoding.damaged(name) }
        return Int(count)
    }

    private mutating func origin() throws(MeridianError) -> Origin {
        guard let number = UInt32(exactly: try integer()) else { throw RecordCoding.damaged(name) }
        return Origin(number)
    }

    /// Of no more writes than any row can take, so that the next one has a number, too.
    private mutating func dot() throws(MeridianError) -> Dot {
        let (origin, counter) = (try origin(), try integer())
        guard counter > 0, counter < .max else { throw RecordCoding.damaged(name) }
        return Dot(origin, UInt64(counter))
    }

    /// Of a write that was seen: all that a record holds was.
    private mutating func dot(_ seen: VersionVector) throws(MeridianError) -> Dot {
        let dot = try dot()
        guard seen.contains(dot) else { throw RecordCoding.damaged(name) }
        return dot
    }

    private mutating func stamp(_ seen: VersionVector) throws(MeridianError) -> WriteStamp {
        WriteStamp(time: Timestamp(rawValue: try integer()), dot: try dot(seen))
    }

    /// A number, and as many elements, each above the one before.
    private mutating func ascending<Element>(
        _ precedes: (Element, Element) -> Bool,
        _ element: (inout ValueCursor) throws(MeridianError) -> Element
    ) throws(MeridianError) -> [Element] {
        let count = try count()
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count {
            let next = try element(&self)
            if let last = elements.last, !precedes(last, next) { throw RecordCoding.damaged(name) }
            elements.append(next)
        }
        return elements
    }

    /// What readers of rows are shown is what the cell says, or the record is damaged.
    private mutating func cell(
        _ field: RecordShape.Field, _ stored: [Value], _ seen: VersionVector, _ life: Record.Life
    ) throws(MeridianError) -> Record.Cell {
        switch field.resolver {
        case .lastWriterWins:
            return .register(Register(field.columns.map { stored[$0] }, try stamp(seen)))
        case .counter, .growOnlyCounter:
            let shares = try ascending {
                $0.dot.origin < $1.dot.origin
            } _: { (reader) throws(MeridianError) in
                try reader.share(seen)
            }
            let cancellations = try ascending {
                ($0.dot, $0.target) < ($1.dot, $1.target)
            } _: { (reader) throws(MeridianError) in
                Counter.Cancellation(dot: try reader.dot(seen), target: try reader.dot(seen), sum: try reader.sum())
            }
            let counter = Counter(shares: shares, cancellations: cancellations)
            guard stored[field.columns[0]] == .integer(counter.value) else { throw RecordCoding.damaged(name) }
            return .counter(counter)
        case .addWinsSet, .growOnlySet:
            let members = try ascending {
                $0.element.lexicographicallyPrecedes($1.element)
            } _: { (reader) throws(MeridianError) in
                try reader.member(seen)
            }
            let set = AddWinsSet(sorted: members)
            guard case .text(let shown) = stored[field.columns[0]],
                SetText.isText(shown, of: set.members.lazy.map(\.element))
            else { throw RecordCoding.damaged(name) }
            return .set(set)
        case .siblings, .merge:
            let siblings = try ascending {
                $0.stamp < $1.stamp
            } _: { (reader) throws(MeridianError) in
                try reader.sibling(field, seen)
            }
            // Only a deletion can have been stripped of them.
            guard !siblings.isEmpty || !life.isAlive else { throw RecordCoding.damaged(name) }
            let shown = siblings.last?.content ?? field.columns.map { _ in .null }
            guard zip(field.columns, shown).allSatisfy({ stored[$0] == $1 }) else { throw RecordCoding.damaged(name) }
            return .siblings(SiblingSet(sorted: siblings))
        }
    }

    private mutating func sum() throws(MeridianError) -> Int128 {
        Int128(try integer()) << 64 | Int128(UInt64(bitPattern: try integer()))
    }

    private mutating func share(_ seen: VersionVector) throws(MeridianError) -> Counter.Share {
        let (dot, start) = (try dot(seen), UInt64(bitPattern: try integer()))
        guard (1...dot.counter).contains(start) else { throw RecordCoding.damaged(name) }
        return Counter.Share(dot: dot, start: start, sum: try sum())
    }

    private mutating func member(_ seen: VersionVector) throws(MeridianError) -> AddWinsSet.Member {
        guard case .blob(let element) = try reader.next() else { throw RecordCoding.damaged(name) }
        let dots = try ascending(<) { (reader) throws(MeridianError) in try reader.dot(seen) }
        guard !dots.isEmpty else { throw RecordCoding.damaged(name) }
        return AddWinsSet.Member(element: element, dots: dots)
    }

    private mutating func sibling(
        _ field: RecordShape.Field, _ seen: VersionVector
    ) throws(MeridianError) -> SiblingSet.Sibling {
        let stamp = try stamp(seen)
        let content = try next(field.columns.count)
        var base: SiblingSet.Base?
        switch try integer() {
        case 0: break
        case 1: base = SiblingSet.Base(dot: try dot(seen), content: try next(field.columns.count))
        default: throw RecordCoding.damaged(name)
        }
        return SiblingSet.Sibling(content: content, stamp: stamp, base: base)
    }
}
