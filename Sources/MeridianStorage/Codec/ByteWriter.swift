/// Bytes being written: little-endian numbers of fixed width, in memory that is used again and again.
///
/// Not an array, because an array checks its bounds and its uniqueness at each of the dozen numbers of an entry:
/// encoding is on the path of every commit.
struct ByteWriter: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 4096) {
        precondition(capacity > 0, "capacity \(capacity)")
        base = .allocate(byteCount: capacity, alignment: 16)
        self.capacity = capacity
    }

    deinit { base.deallocate() }

    /// What was written. Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
    var array: [UInt8] { [UInt8](bytes) }

    mutating func removeAll() { count = 0 }

    mutating func put(_ value: UInt8) { store(value) }
    mutating func put(_ value: UInt16) { store(value.littleEndian) }
    mutating func put(_ value: UInt32) { store(value.littleEndian) }
    mutating func put(_ value: UInt64) { store(value.littleEndian) }
    mutating func put(_ value: Int64) { store(value.littleEndian) }

    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    /// A length (32 bits) and the bytes.
    mutating func putCounted(_ bytes: [UInt8]) {
        precondition(bytes.count < Int(UInt32.max), "\(bytes.count) bytes are too many for a length of 32 bits")
        put(UInt32(bytes.count))
        bytes.withUnsafeBytes { put($0) }
    }

    /// Like `putCounted`, with a length of its own (all ones) for "none".
    mutating func putCounted(_ bytes: [UInt8]?) {
        if let bytes { putCounted(bytes) } else { put(UInt32.max) }
    }

    /// Writes over a number that was put before, such as a length that is known only afterwards.
    mutating func overwrite(_ value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= count, "offset \(offset) of \(count) bytes")
        (base + offset).storeBytes(of: value.littleEndian, as: UInt32.self)
    }

    @inline(__always)
    private mutating func store<Number: FixedWidthInteger>(_ value: Number) {
        reserve(MemoryLayout<Number>.size)
        (base + count).storeBytes(of: value, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if count + more > capacity { grow(to: count + more) }
    }

    @inline(never)
    private mutating func grow(to needed: Int) {
        let larger = max(needed, capacity * 2)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = moved
        capacity = larger
    }
}
