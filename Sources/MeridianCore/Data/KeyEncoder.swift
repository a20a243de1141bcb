/// Makes keys whose bytes sort as the tuples `(table, index, region, column values…)` do.
///
/// ```
/// table   4 bytes, big-endian
/// index   1 byte
/// region  escaped bytes
/// then, for each key column, one tag byte and
///   null      nothing
///   integer   8 bytes, big-endian, sign bit flipped
///   real      8 bytes, big-endian: sign bit flipped if positive, all bits if negative; -0.0 becomes 0.0
///   text      escaped UTF-8
///   blob      escaped bytes
///   uuid      16 bytes
/// ```
/// Escaped bytes write 0x00 as `00 FF` and end with `00 01`, so that a string sorts before its own extensions and no
/// encoded tuple is a prefix of a different one with as many columns. Tags ascend in the order of `Value`; they make a
/// key readable without its schema. The format is in every file and on the wire: it never changes.
///
/// The region stands before the columns so that one region's rows of one table are one span of keys, which can be
/// placed as a whole.
package struct KeyEncoder: Sendable {
    package private(set) var bytes: [UInt8]

    package init(table: TableID, index: IndexID = .primary, region: Region) {
        bytes = []
        bytes.reserveCapacity(64)
        appendBigEndian(table.rawValue)
        bytes.append(index.rawValue)
        appendEscaped(region.rawValue)
    }

    /// The start of every key of a table.
    package static func prefix(table: TableID) -> [UInt8] {
        withUnsafeBytes(of: table.rawValue.bigEndian) { [UInt8]($0) }
    }

    /// The start of every key of one index of a table in one region.
    package static func prefix(table: TableID, index: IndexID = .primary, region: Region) -> [UInt8] {
        KeyEncoder(table: table, index: index, region: region).bytes
    }

    /// The key of one row.
    /// - Parameter name: the table's name, for the errors.
    /// - Throws: as `append` and `finish` do.
    package static func key(
        table: TableID, index: IndexID = .primary, region: Region, values: [Value], types: [ColumnType], name: String
    ) throws(MeridianError) -> Key {
        precondition(values.count == types.count, "\(values.count) key values for \(types.count) key columns")
        var encoder = KeyEncoder(table: table, index: index, region: region)
        for (value, type) in zip(values, types) { try encoder.append(value, as: type, name: name) }
        return try encoder.finish(name: name)
    }

    /// Adds the next column of the key.
    /// - Throws: `.typeMismatch` if the value is NaN, or does not fit the type.
    package mutating func append(_ value: Value, as type: ColumnType, name: String) throws(MeridianError) {
        switch value {
        case .null:
            bytes.append(KeyTag.null)
        case .integer(let integer) where type == .integer || type == .boolean:
            bytes.append(KeyTag.integer)
            appendBigEndian(UInt64(bitPattern: integer) ^ (1 << 63))
        case .real(let real) where type == .real || type == .date:
            guard !real.isNaN else {
                throw MeridianError(.typeMismatch, "a key of table \(name) cannot hold NaN")
            }
            bytes.append(KeyTag.real)
            let pattern = (real == 0 ? 0.0 : real).bitPattern
            appendBigEndian(pattern >> 63 == 0 ? pattern ^ (1 << 63) : ~pattern)
        case .text(let text) where type == .text:
            bytes.append(KeyTag.text)
            appendEscaped(text)
        case .blob(let blob) where type == .uuid && blob.count == 16:
            bytes.append(KeyTag.uuid)
            bytes.append(contentsOf: blob)
        case .blob(let blob) where type == .blob:
            bytes.append(KeyTag.blob)
            blob.withUnsafeBufferPointer { appendEscaped($0) }
        default:
            throw MeridianError(.typeMismatch, "a key column of table \(name) is \(type), the value is \(value)")
        }
    }

    /// The key itself.
    /// - Throws: `.keyTooLarge` above `Key.maximumByteCount`.
    package consuming func finish(name: String) throws(MeridianError) -> Key {
        guard bytes.count <= Key.maximumByteCount else {
            throw MeridianError(
                .keyTooLarge,
                "a key of table \(name) takes \(bytes.count) bytes, the limit is \(Key.maximumByteCount)")
        }
        return Key(bytes)
    }

    private mutating func appendBigEndian(_ integer: some FixedWidthInteger) {
        withUnsafeBytes(of: integer.bigEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func appendEscaped(_ text: String) {
        var text = text
        text.withUTF8 { appendEscaped($0) }
    }

    private mutating func appendEscaped(_ raw: UnsafeBufferPointer<UInt8>) {
        if raw.contains(0) {
            for byte in raw {
                bytes.append(byte)
                if byte == 0 { bytes.append(KeyTag.escapedZero) }
            }
        } else {
            bytes.append(contentsOf: raw)
        }
        bytes.append(0)
        bytes.append(KeyTag.terminator)
    }
}

/// The bytes of the key format that mean something. Gaps leave room for types between the present ones.
enum KeyTag {
    static let null: UInt8 = 0x10
    static let integer: UInt8 = 0x20
    static let real: UInt8 = 0x30
    static let text: UInt8 = 0x40
    static let blob: UInt8 = 0x50
    static let uuid: UInt8 = 0x58

    /// After 0x00: the string ends here.
    static let terminator: UInt8 = 0x01
    /// After 0x00: the string holds a zero byte here.
    static let escapedZero: UInt8 = 0xFF
}
