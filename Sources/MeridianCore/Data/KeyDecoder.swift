/// Reads back what `KeyEncoder` wrote, without the table's schema. Any bytes may be given: what is not a key is
/// reported, never trapped on.
package struct KeyDecoder: Sendable {
    package let table: TableID
    package let index: IndexID
    package let region: Region

    private var remaining: ArraySlice<UInt8>

    /// - Throws: `.corruption` if the bytes do not begin as a key does.
    package init(_ key: Key) throws(MeridianError) {
        remaining = key.bytes[...]
        table = TableID(try Self.integer(UInt32.self, from: &remaining))
        index = IndexID(try Self.integer(UInt8.self, from: &remaining))
        region = Region(try Self.text(from: &remaining))
    }

    /// The next column's value, or `nil` at the end of the key. UUIDs come as blobs of 16 bytes.
    /// - Throws: `.corruption`.
    package mutating func next() throws(MeridianError) -> Value? {
        guard let tag = remaining.popFirst() else { return nil }
        switch tag {
        case KeyTag.null:
            return .null
        case KeyTag.integer:
            return .integer(Int64(bitPattern: try Self.integer(UInt64.self, from: &remaining) ^ (1 << 63)))
        case KeyTag.real:
            let pattern = try Self.integer(UInt64.self, from: &remaining)
            let real = Double(bitPattern: pattern >> 63 == 1 ? pattern ^ (1 << 63) : ~pattern)
            guard !real.isNaN, real.bitPattern != (-0.0).bitPattern else { throw Self.corrupted("a real") }
            return .real(real)
        case KeyTag.text:
            return .text(try Self.text(from: &remaining))
        case KeyTag.blob:
            return .blob(try Self.unescaped(from: &remaining))
        case KeyTag.uuid:
            guard remaining.count >= 16 else { throw Self.corrupted("a uuid") }
            defer { remaining.removeFirst(16) }
            return .blob([UInt8](remaining.prefix(16)))
        default:
            throw Self.corrupted("a tag")
        }
    }

    /// All columns that have not been read yet.
    /// - Throws: `.corruption`.
    package mutating func values() throws(MeridianError) -> [Value] {
        var values: [Value] = []
        while let value = try next() { values.append(value) }
        return values
    }

    private static func integer<Integer: FixedWidthInteger & UnsignedInteger>(
        _ type: Integer.Type, from bytes: inout ArraySlice<UInt8>
    ) throws(MeridianError) -> Integer {
        let size = Integer.bitWidth / 8
        guard bytes.count >= size else { throw corrupted("an integer") }
        var integer: Integer = 0
        for byte in bytes.prefix(size) { integer = (integer << 8) | Integer(byte) }
        bytes.removeFirst(size)
        return integer
    }

    private static func text(from bytes: inout ArraySlice<UInt8>) throws(MeridianError) -> String {
        guard let text = String(validating: try unescaped(from: &bytes), as: UTF8.self) else {
            throw corrupted("a text")
        }
        return text
    }

    private static func unescaped(from bytes: inout ArraySlice<UInt8>) throws(MeridianError) -> [UInt8] {
        var result: [UInt8] = []
        while let byte = bytes.popFirst() {
            guard byte == 0 else {
                result.append(byte)
                continue
            }
            switch bytes.popFirst() {
            case KeyTag.terminator: return result
            case KeyTag.escapedZero: result.append(0)
            default: throw corrupted("an escaped string")
            }
        }
        throw corrupted("an escaped string")
    }

    private static func corrupted(_ part: String) -> MeridianError {
        MeridianError(.corruption, "a stored key is damaged: \(part) in it cannot be read")
    }
}
