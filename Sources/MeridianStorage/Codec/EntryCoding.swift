import MeridianCore

/// Log entries as bytes, for the log's rows.
///
/// An entry: length of the body (32 bits), CRC-32C (32), body. The body: kind (8), term (64), index (64), payload.
/// The checksum covers the range's id as well, so that an entry which was written to a wrong place is found out
/// even though it is whole. A command: request (128), timestamp (64), closed (64), number of mutations (32), and for
/// each its key and its value with their lengths (32); a step of a transaction follows where the kind says so
/// (`TransactionCoding`). A readmission: node (32), incarnation (64). A collection: threshold (64). A
/// comparison: nothing.
///
/// Decoding takes nothing for granted: lengths are checked before they are used, and no bytes make it crash.
enum EntryCoding {
    private enum Kind {
        static let empty: UInt8 = 0
        static let membership: UInt8 = 1
        static let command: UInt8 = 2
        static let readmission: UInt8 = 3
        static let transactionStep: UInt8 = 4
        static let collection: UInt8 = 5
        static let comparison: UInt8 = 6
    }

    static func encode(_ entry: Entry, of range: RangeID, to writer: inout ByteWriter) {
        let start = writer.count
        writer.put(UInt32(0))
        writer.put(UInt32(0))
        let body = writer.count
        switch entry.payload {
        case .empty:
            header(Kind.empty, entry, &writer)
        case .membership(let membership):
            header(Kind.membership, entry, &writer)
            MembershipCoding.encode(membership, to: &writer)
        case .command(let command):
            header(command.step == nil ? Kind.command : Kind.transactionStep, entry, &writer)
            encode(command, to: &writer)
            if let step = command.step { TransactionCoding.encode(step, to: &writer) }
        case .readmission(let node, let incarnation):
            header(Kind.readmission, entry, &writer)
            writer.put(node.rawValue)
            writer.put(incarnation.rawValue)
        case .collect(let threshold):
            header(Kind.collection, entry, &writer)
            writer.put(threshold.rawValue)
        case .compare:
            header(Kind.comparison, entry, &writer)
        }
        precondition(writer.count - body < Int(UInt32.max), "entry of \(writer.count - body) bytes")
        let checksum = checksum(range, UnsafeRawBufferPointer(rebasing: writer.bytes[body...]))
        writer.overwrite(UInt32(writer.count - body), at: start)
        writer.overwrite(checksum, at: start + 4)
    }

    /// - Throws: `ByteReader.Malformed` for anything but what `encode` wrote for this range.
    static func decode(of range: RangeID, from reader: inout ByteReader) throws(ByteReader.Malformed) -> Entry {
        let count = Int(try reader.uint32())
        let expected = try reader.uint32()
        let bytes = try reader.slice(count)
        guard checksum(range, bytes) == expected else { throw ByteReader.Malformed() }
        var body = ByteReader(bytes)
        let kind = try body.byte()
        let term = Term(try body.uint64())
        let index = LogIndex(try body.uint64())
        let payload: EntryPayload
        switch kind {
        case Kind.empty: payload = .empty
        case Kind.membership: payload = .membership(try MembershipCoding.decode(&body))
        case Kind.command: payload = .command(try decodeCommand(&body))
        case Kind.transactionStep:
            var command = try decodeCommand(&body)
            command.step = try TransactionCoding.decodeStep(&body)
            payload = .command(command)
        case Kind.readmission:
            payload = .readmission(NodeID(try body.uint32()), Incarnation(try body.uint64()))
        case Kind.collection: payload = .collect(below: Timestamp(rawValue: try body.int64()))
        case Kind.comparison: payload = .compare
        default: throw ByteReader.Malformed()
        }
        try body.expectEnd()
        return Entry(term: term, index: index, payload: payload)
    }

    private static func header(_ kind: UInt8, _ entry: Entry, _ writer: inout ByteWriter) {
        writer.put(kind)
        writer.put(entry.term.rawValue)
        writer.put(entry.index.rawValue)
    }

    private static func encode(_ command: Command, to writer: inout ByteWriter) {
        writer.put(command.request.high)
        writer.put(command.request.low)
        writer.put(command.timestamp.rawValue)
        writer.put(command.closed.rawValue)
        TransactionCoding.encode(command.mutations, to: &writer)
    }

    private static func decodeCommand(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> Command {
        let request = RequestID(high: try reader.uint64(), low: try reader.uint64())
        let timestamp = Timestamp(rawValue: try reader.int64())
        let closed = Timestamp(rawValue: try reader.int64())
        return Command(
            request: request, timestamp: timestamp, closed: closed,
            mutations: try TransactionCoding.decodeMutations(&reader))
    }

    private static func checksum(_ range: RangeID, _ body: UnsafeRawBufferPointer) -> UInt32 {
        var checksum = Checksum()
        checksum.combine(range.rawValue)
        checksum.combine(body)
        return checksum.value
    }
}
