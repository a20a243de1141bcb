/// Reads the rows of `runs` in a node's log.sqlite, for the audit: a reader of its own, so that a mistake in the
/// engine's coding cannot hide what the engine wrote. The format: `EntryCoding` in MeridianStorage.
struct LogRunReader {
    struct Malformed: Error {}

    private let bytes: [UInt8]
    private var offset = 0

    struct Mutation {
        var key: [UInt8]
        /// `nil` deletes.
        var value: [UInt8]?
    }

    private static let command: UInt8 = 2

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// All writes in all entries of a run.
    static func mutations(in bytes: [UInt8]) throws -> [Mutation] {
        var reader = LogRunReader(bytes)
        var mutations: [Mutation] = []
        while reader.offset < bytes.count { mutations += try reader.entry() }
        return mutations
    }

    /// Length, checksum, then kind, term, index and, for a command, request, two timestamps and the writes.
    private mutating func entry() throws -> [Mutation] {
        let length = Int(try uint32())
        try skip(4)
        let end = offset + length
        guard end <= bytes.count, length > 0 else { throw Malformed() }
        let kind = bytes[offset]
        guard kind == Self.command else {
            offset = end
            return []
        }
        try skip(1 + 8 + 8 + 16 + 8 + 8)
        var mutations: [Mutation] = []
        for _ in 0..<(try uint32()) {
            guard let key = try counted() else { throw Malformed() }
            mutations.append(Mutation(key: key, value: try counted()))
        }
        guard offset == end else { throw Malformed() }
        return mutations
    }

    private mutating func counted() throws -> [UInt8]? {
        let count = try uint32()
        if count == .max { return nil }
        let start = offset
        try skip(Int(count))
        return Array(bytes[start..<offset])
    }

    private mutating func uint32() throws -> UInt32 {
        let start = offset
        try skip(4)
        return bytes.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt32.self)) }
    }

    private mutating func skip(_ count: Int) throws {
        guard count <= bytes.count - offset else { throw Malformed() }
        offset += count
    }
}
