import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// An active-active table as one region's services see it: their own copy and the others.
struct ActiveTable: Sendable {
    struct Copy: Sendable {
        var copy: TableCopy
        var range: RangeDescriptor
    }

    let resolved: ResolvedTable
    let shape: RecordShape
    let own: Copy
    /// Those that are in use, without the own one.
    let others: [Copy]

    /// - Returns: `nil` for another kind of table, or where the region has no copy in use.
    init?(_ record: TableRecord, region: Region, topology: Topology) throws(MeridianError) {
        guard !record.copies.isEmpty else { return nil }
        resolved = try ResolvedTable(record, topology: topology)
        guard let shape = resolved.shape else { return nil }
        self.shape = shape
        let copies = zip(record.copies, record.ranges).map(Copy.init).filter { $0.copy.isInUse }
        guard let own = copies.first(where: { $0.copy.region == region }) else { return nil }
        self.own = own
        others = copies.filter { $0.copy.number != own.copy.number }
    }

    var name: String { resolved.name }

    func link(from other: Copy) -> ConvergenceProgress.Link {
        .init(copy: own.range.id, origin: other.copy.number)
    }

    func span(of index: IndexID, in copy: Copy) -> KeySpan { resolved.span(of: index, in: copy.range) }

    /// How many bytes of a copy's keys are its own; what follows is the same in every copy.
    func prefixCount(_ copy: Copy) -> Int { span(of: .primary, in: copy).lower.bytes.count }

    /// The key of the same row in the own copy.
    func ownKey(of key: Key, in copy: Copy) -> Key {
        Key(span(of: .primary, in: own).lower.bytes + key.bytes.dropFirst(prefixCount(copy)))
    }

    /// A row of the own copy's, or what another index has under its key, in any copy.
    func key(of key: Key, index: IndexID, in copy: Copy) -> Key {
        Key(span(of: index, in: copy).lower.bytes + key.bytes.dropFirst(prefixCount(own)))
    }

    /// The name of the own copy's writes.
    var origin: Origin { resolved.origin(of: own.range) }

    /// Where the own copy records how far it has pulled another one.
    func cursorKey(of origin: TableID, in copy: Copy) throws(MeridianError) -> Key {
        try KeyEncoder.key(
            table: copy.copy.number, index: .cursors, region: copy.range.partition,
            values: [.integer(Int64(origin.rawValue))], types: [.integer], name: name)
    }

    /// Where the own copy records a conflict over one of its rows.
    func conflictKey(_ conflict: Conflict, of row: Key) throws(MeridianError) -> Key {
        var bytes = span(of: .conflicts, in: own).lower.bytes + row.bytes.dropFirst(prefixCount(own))
        var suffix = KeyEncoder(table: own.copy.number, region: "")
        let start = suffix.bytes.count
        for (value, type) in zip(ConflictCoding.keySuffix(conflict), ConflictCoding.keySuffixTypes) {
            try suffix.append(value, as: type, name: name)
        }
        bytes += suffix.bytes.dropFirst(start)
        return Key(bytes)
    }

    static func cursorValue(_ cursor: Timestamp) throws(MeridianError) -> [UInt8] {
        try RowCoding.encode([.integer(cursor.rawValue)], name: "cursors")
    }

    /// - Returns: zero where nothing is recorded.
    static func cursor(in row: KeyedVersion?) throws(MeridianError) -> Timestamp {
        guard let value = row?.version.value else { return .zero }
        return try cursor(in: value)
    }

    static func cursor(in value: [UInt8]) throws(MeridianError) -> Timestamp {
        guard case .integer(let number)? = try RowCoding.decode(value, name: "cursors").first else {
            throw MeridianError(.corruption, "how far a copy has come cannot be read")
        }
        return Timestamp(rawValue: number)
    }
}
