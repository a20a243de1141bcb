/// A row as bytes: its values in the order of the table's columns.
///
/// ```
/// version   1 byte, 1
/// count     varint, the number of columns
/// then, for each column, one tag byte and
///   null      nothing
///   integer   varint of the zigzag form (0, -1, 1, -2, …)
///   real      8 bytes, little-endian IEEE 754
///   text      varint length, UTF-8
///   blob      varint length, bytes
/// ```
/// Varints are LEB128. A column that is added at the end of a table leaves the rows before it readable: they are
/// shorter.
/// Rows carry no checksum of their own; the entry and the version that hold them do.
package enum RowCoding {
    package static let version: UInt8 = 1
    /// The largest row that is accepted, encoded, in bytes (4 MiB).
    package static let maximumByteCount = 4 * 1024 * 1024

    /// - Parameter name: the table's name, for the error.
    /// - Throws: `.rowTooLarge` above `maximumByteCount`.
    package static func encode(_ values: [Value], name: String) throws(MeridianError) -> [UInt8] {
        let size = encodedByteCount(values)
        guard size <= maximumByteCount else {
            throw MeridianError(
                .rowTooLarge, "a row of table \(name) takes \(size) bytes, the limit is \(maximumByteCount)")
        }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, initializedCount in
            var writer = RowWriter(start: buffer.baseAddress!)
            writer.put(version)
            writer.put(varint: UInt64(values.count))
            for value in values { writer.put(value) }
            initializedCount = writer.offset
            precondition(writer.offset == size, "row of \(size) bytes was written in \(writer.offset)")
        }
    }

    /// - Parameter name: the table's name, for the error.
    /// - Throws: `.corruption` if the bytes are not a row, `.newerFormat` if a newer version wrote them.
    package static func decode(_ bytes: [UInt8], name: String) throws(MeridianError) -> [Value] {
        try bytes.withUnsafeBufferPointer { (buffer) throws(MeridianError) -> [Value] in
            try decode(buffer, name: name)
        }
    }

    /// The same, from memory that is not an array, such as a SQLite blob.
    package static func decode(
        _ bytes: UnsafeBufferPointer<UInt8>, name: String
    ) throws(MeridianError) -> [Value] {
        var reader = try Reader(bytes, name: name)
        var values: [Value] = []
        values.reserveCapacity(reader.left)
        while reader.left > 0 { values.append(try reader.next()) }
        try reader.end()
        return values
    }

    private static func encodedByteCount(_ values: [Value]) -> Int {
        var size = 1 + varintByteCount(UInt64(values.count)) + values.count
        for value in values {
            switch value {
            case .null: break
            case .integer(let integer): size += varintByteCount(zigzag(integer))
            case .real: size += 8
            case .text(let text): size += varintByteCount(UInt64(text.utf8.count)) + text.utf8.count
            case .blob(let bytes): size += varintByteCount(UInt64(bytes.count)) + bytes.count
            }
        }
        return size
    }

    /// Seven bits a byte.
    private static func varintByteCount(_ word: UInt64) -> Int {
        (70 - (word | 1).leadingZeroBitCount) / 7
    }

    fileprivate static func zigzag(_ integer: Int64) -> UInt64 {
        UInt64(bitPattern: (integer << 1) ^ (integer >> 63))
    }
}

private enum RowTag {
    static let null: UInt8 = 0
    static let integer: UInt8 = 1
    static let real: UInt8 = 2
    static let text: UInt8 = 3
    static let blob: UInt8 = 4
}

/// Writes into memory whose size has been computed before; `encode` checks that the two agree.
private struct RowWriter {
    let start: UnsafeMutablePointer<UInt8>
    var offset = 0

    mutating func put(_ byte: UInt8) {
        (start + offset).initialize(to: byte)
        offset += 1
    }

    mutating func put(varint word: UInt64) {
        var word = word
        while word >= 0x80 {
            put(UInt8(truncatingIfNeeded: word) | 0x80)
            word >>= 7
        }
        put(UInt8(truncatingIfNeeded: word))
    }

    mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        put(varint: UInt64(bytes.count))
        guard let source = bytes.baseAddress else { return }
        (start + offset).initialize(from: source, count: bytes.count)
        offset += bytes.count
    }

    mutating func put(_ value: Value) {
        switch value {
        case .null:
            put(RowTag.null)
        case .integer(let integer):
            put(RowTag.integer)
            put(varint: RowCoding.zigzag(integer))
        case .real(let real):
            put(RowTag.real)
            UnsafeMutableRawPointer(start + offset)
                .storeBytes(of: real.bitPattern.littleEndian, as: UInt64.self)
            offset += 8
        case .text(var text):
            put(RowTag.text)
            text.withUTF8 { put($0) }
        case .blob(let bytes):
            put(RowTag.blob)
            bytes.withUnsafeBufferPointer { put($0) }
        }
    }
}

extension RowCoding {
    /// Reads a row value by value. The bytes may be anything: every length is checked against what is left before it is
    /// used.
    package struct Reader {
        private let bytes: UnsafeBufferPointer<UInt8>
        private let name: String
        private var offset = 0
        /// How many values follow.
        package private(set) var left = 0

        /// - Parameters:
        ///   - bytes: they must stay as long as the reader is used.
        ///   - name: the table's name, for the errors.
        /// - Throws: as `RowCoding.decode`, and so do all methods.
        package init(_ bytes: UnsafeBufferPointer<UInt8>, name: String) throws(MeridianError) {
            self.bytes = bytes
            self.name = name
            let found = try byte()
            guard found <= RowCoding.version else {
                throw MeridianError(
                    .newerFormat, "a row of table \(name) has format \(found), known is \(RowCoding.version)")
            }
            guard found > 0 else { throw damaged("its version") }
            left = try count(of: "its columns")
        }

        private func damaged(_ part: String) -> MeridianError {
            MeridianError(.corruption, "a row of table \(name) is damaged: \(part) cannot be read")
        }

        /// - Throws: unless everything was read.
        package func end() throws(MeridianError) {
            guard left == 0, offset == bytes.count else { throw damaged("what follows it") }
        }

        package mutating func next() throws(MeridianError) -> Value {
            switch try tag() {
            case RowTag.null:
                return .null
            case RowTag.integer:
                return .integer(try zigzag())
            case RowTag.real:
                guard bytes.count - offset >= 8 else { throw damaged("a real") }
                defer { offset += 8 }
                let pattern = UnsafeRawPointer(bytes.baseAddress! + offset).loadUnaligned(as: UInt64.self)
                return .real(Double(bitPattern: UInt64(littleEndian: pattern)))
            case RowTag.text:
                guard let text = String(validating: try span(), as: UTF8.self) else { throw damaged("a text") }
                return .text(text)
            case RowTag.blob:
                return .blob([UInt8](try span()))
            default:
                throw damaged("a tag")
            }
        }

        /// The next value, which is to be an integer; `nil` if it is something else.
        package mutating func nextInteger() throws(MeridianError) -> Int64? {
            guard try tag() == RowTag.integer else { return nil }
            return try zigzag()
        }

        private mutating func tag() throws(MeridianError) -> UInt8 {
            guard left > 0 else { throw damaged("its end") }
            left -= 1
            return try byte()
        }

        private mutating func byte() throws(MeridianError) -> UInt8 {
            guard offset < bytes.count else { throw damaged("its end") }
            defer { offset += 1 }
            return bytes[offset]
        }

        private mutating func varint() throws(MeridianError) -> UInt64 {
            var word: UInt64 = 0
            var shift: UInt64 = 0
            while true {
                let next = try byte()
                guard shift < 63 || next <= 1 else { throw damaged("a number") }
                word |= UInt64(next & 0x7F) << shift
                if next < 0x80 { return word }
                shift += 7
            }
        }

        private mutating func zigzag() throws(MeridianError) -> Int64 {
            let word = try varint()
            return Int64(bitPattern: (word >> 1) ^ (0 &- (word & 1)))
        }

        /// A number of things that take at least one byte each, so that it is no larger than what is left.
        private mutating func count(of part: String) throws(MeridianError) -> Int {
            let word = try varint()
            guard word <= UInt64(bytes.count - offset) else { throw damaged(part) }
            return Int(word)
        }

        private mutating func span() throws(MeridianError) -> UnsafeBufferPointer<UInt8> {
            let length = try count(of: "a length")
            defer { offset += length }
            return UnsafeBufferPointer(rebasing: bytes[offset..<offset + length])
        }
    }
}
