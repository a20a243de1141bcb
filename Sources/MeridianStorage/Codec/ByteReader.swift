/// Reads what `ByteWriter` wrote. The bytes may be anything: every read checks what is left and throws `Malformed`.
struct ByteReader: ~Copyable {
    /// The bytes are not what a writer of ours wrote.
    struct Malformed: Error {}

    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    /// - Parameter bytes: must outlive the reader.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - offset }

    mutating func byte() throws(Malformed) -> UInt8 { try load() }
    mutating func uint16() throws(Malformed) -> UInt16 { UInt16(littleEndian: try load()) }
    mutating func uint32() throws(Malformed) -> UInt32 { UInt32(littleEndian: try load()) }
    mutating func uint64() throws(Malformed) -> UInt64 { UInt64(littleEndian: try load()) }
    mutating func int64() throws(Malformed) -> Int64 { Int64(littleEndian: try load()) }

    /// The next `count` bytes, in place.
    mutating func slice(_ count: Int) throws(Malformed) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw Malformed() }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }

    mutating func counted() throws(Malformed) -> [UInt8] {
        guard let bytes = try countedOrNone() else { throw Malformed() }
        return bytes
    }

    mutating func countedOrNone() throws(Malformed) -> [UInt8]? {
        let count = try uint32()
        if count == .max { return nil }
        return [UInt8](try slice(Int(count)))
    }

    func expectEnd() throws(Malformed) {
        guard remaining == 0 else { throw Malformed() }
    }

    @inline(__always)
    private mutating func load<Number: FixedWidthInteger>() throws(Malformed) -> Number {
        let size = MemoryLayout<Number>.size
        guard size <= remaining else { throw Malformed() }
        defer { offset += size }
        return bytes.loadUnaligned(fromByteOffset: offset, as: Number.self)
    }
}
