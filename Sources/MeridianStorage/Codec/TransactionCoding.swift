import MeridianCore

/// Transactions of several ranges as bytes: the steps in the log's entries, and the table beside a range's rows.
///
/// A step: attempt (64 bits), kind (8), and for a prepare what `Preparation` holds: candidate (64), flags (8), when it
/// was begun (64), the request that breaks ties (128), participants (count 32, then range 64 and generation 32 each),
/// keys (count 32, then each with its length) and spans (count 32, then lower and upper bound). For a promise the
/// ballot (position 32, generation 32), for an adoption the participants, for what is undone candidate (64), flag
/// (8) and participants, and the names of what is forgotten (count 32, then 192 each).
///
/// A table: nothing at all if it is new. Else the highest timestamp (64), the prepared, the decided and the undone
/// transactions (count 32 each), in the order of their ids, so that equal tables have equal bytes.
enum TransactionCoding {
    private enum Kind {
        static let prepare: UInt8 = 1
        static let commit: UInt8 = 2
        static let abort: UInt8 = 3
        static let forget: UInt8 = 4
        static let erase: UInt8 = 5
        static let promise: UInt8 = 6
        static let adopt: UInt8 = 7
        static let undo: UInt8 = 8
    }

    // MARK: Steps

    static func encode(_ step: CommitStep, to writer: inout ByteWriter) {
        writer.put(step.attempt)
        switch step.kind {
        case .prepare(let preparation):
            writer.put(Kind.prepare)
            encode(preparation, to: &writer)
        case .commit: writer.put(Kind.commit)
        case .abort: writer.put(Kind.abort)
        case .forget(let ids):
            writer.put(Kind.forget)
            writer.put(UInt32(ids.count))
            for id in ids { encode(id, to: &writer) }
        case .erase: writer.put(Kind.erase)
        case .promise(let ballot):
            writer.put(Kind.promise)
            encode(ballot, to: &writer)
        case .adopt(let participants):
            writer.put(Kind.adopt)
            encode(participants, to: &writer)
        case .undo(let cause):
            writer.put(Kind.undo)
            encode(cause, to: &writer)
        }
    }

    static func decodeStep(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> CommitStep {
        let attempt = try reader.uint64()
        let kind: CommitStep.Kind
        switch try reader.byte() {
        case Kind.prepare: kind = .prepare(try decodePreparation(&reader))
        case Kind.commit: kind = .commit
        case Kind.abort: kind = .abort
        case Kind.forget:
            var ids: [TransactionID] = []
            for _ in 0..<(try count(&reader, atLeast: 24)) { ids.append(try decodeID(&reader)) }
            kind = .forget(ids)
        case Kind.erase: kind = .erase
        case Kind.promise: kind = .promise(try decodeBallot(&reader))
        case Kind.adopt: kind = .adopt(try decodeParticipants(&reader))
        case Kind.undo: kind = .undo(try decodeCause(&reader))
        default: throw ByteReader.Malformed()
        }
        return CommitStep(attempt: attempt, kind: kind)
    }

    private static func encode(_ preparation: CommitStep.Preparation, to writer: inout ByteWriter) {
        writer.put(preparation.candidate.rawValue)
        writer.put(UInt8((preparation.readsElsewhere ? 1 : 0) | (preparation.acknowledgesDecided ? 2 : 0)))
        writer.put(preparation.priority.begun.rawValue)
        encode(preparation.priority.request, to: &writer)
        encode(preparation.participants, to: &writer)
        writer.put(UInt32(preparation.keys.count))
        for key in preparation.keys { writer.putCounted(key.bytes) }
        writer.put(UInt32(preparation.spans.count))
        for span in preparation.spans {
            writer.putCounted(span.lower.bytes)
            writer.putCounted(span.upper?.bytes)
        }
    }

    private static func decodePreparation(
        _ reader: inout ByteReader
    ) throws(ByteReader.Malformed) -> CommitStep.Preparation {
        let candidate = Timestamp(rawValue: try reader.int64())
        let flags = try reader.byte()
        guard flags <= 3 else { throw ByteReader.Malformed() }
        let begun = Timestamp(rawValue: try reader.int64())
        let priority = TransactionPriority(begun: begun, request: try decodeRequest(&reader))
        let participants = try decodeParticipants(&reader)
        var keys: [Key] = []
        for _ in 0..<(try count(&reader, atLeast: 4)) { keys.append(Key(try reader.counted())) }
        var spans: [KeySpan] = []
        for _ in 0..<(try count(&reader, atLeast: 8)) {
            let lower = Key(try reader.counted())
            let upper = try reader.countedOrNone().map { Key($0) }
            // What `KeySpan` would trap on is, in bytes from a disk, an error.
            if let upper, upper < lower { throw ByteReader.Malformed() }
            spans.append(KeySpan(lower: lower, upper: upper))
        }
        return CommitStep.Preparation(
            participants: participants, candidate: candidate, readsElsewhere: flags & 1 != 0,
            acknowledgesDecided: flags & 2 != 0, priority: priority, keys: keys, spans: spans)
    }

    // MARK: Mutations

    static func encode(_ mutations: [Mutation], to writer: inout ByteWriter) {
        writer.put(UInt32(mutations.count))
        for mutation in mutations {
            writer.putCounted(mutation.key.bytes)
            writer.putCounted(mutation.value)
        }
    }

    static func decodeMutations(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> [Mutation] {
        let count = try count(&reader, atLeast: 8)
        var mutations: [Mutation] = []
        mutations.reserveCapacity(count)
        for _ in 0..<count {
            let key = Key(try reader.counted())
            mutations.append(Mutation(key: key, value: try reader.countedOrNone()))
        }
        return mutations
    }

    // MARK: The table

    static func encode(_ table: TransactionTable, to writer: inout ByteWriter) {
        guard table != TransactionTable() else { return }
        writer.put(table.highest.rawValue)
        writer.put(UInt32(table.prepared.count))
        for id in table.prepared.keys.sorted() {
            guard let transaction = table.prepared[id] else { continue }
            encode(id, to: &writer)
            writer.put(transaction.timestamp.rawValue)
            encode(transaction.mutations, to: &writer)
            encode(transaction.preparation, to: &writer)
            encode(transaction.promised, to: &writer)
        }
        writer.put(UInt32(table.decided.count))
        for id in table.decided.keys.sorted() {
            guard let transaction = table.decided[id] else { continue }
            encode(id, to: &writer)
            writer.put(transaction.timestamp.rawValue)
            encode(transaction.participants, to: &writer)
        }
        writer.put(UInt32(table.undone.count))
        for id in table.undone.keys.sorted() {
            guard let transaction = table.undone[id] else { continue }
            encode(id, to: &writer)
            encode(transaction.cause, to: &writer)
        }
    }

    /// Reads all that is left.
    static func decodeTable(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> TransactionTable {
        guard reader.remaining > 0 else { return TransactionTable() }
        let highest = Timestamp(rawValue: try reader.int64())
        var prepared: [PreparedTransaction] = []
        for _ in 0..<(try count(&reader, atLeast: 32)) {
            let id = try decodeID(&reader)
            let timestamp = Timestamp(rawValue: try reader.int64())
            let mutations = try decodeMutations(&reader)
            prepared.append(
                PreparedTransaction(
                    id: id, timestamp: timestamp, mutations: mutations, preparation: try decodePreparation(&reader),
                    promised: try decodeBallot(&reader)))
        }
        var decided: [DecidedTransaction] = []
        for _ in 0..<(try count(&reader, atLeast: 32)) {
            let id = try decodeID(&reader)
            let timestamp = Timestamp(rawValue: try reader.int64())
            decided.append(
                DecidedTransaction(id: id, timestamp: timestamp, participants: try decodeParticipants(&reader)))
        }
        var undone: [UndoneTransaction] = []
        for _ in 0..<(try count(&reader, atLeast: 32)) {
            let id = try decodeID(&reader)
            undone.append(UndoneTransaction(id: id, cause: try decodeCause(&reader)))
        }
        try reader.expectEnd()
        return TransactionTable(prepared: prepared, decided: decided, undone: undone, highest: highest)
    }

    // MARK: Names

    private static func encode(_ id: TransactionID, to writer: inout ByteWriter) {
        encode(id.request, to: &writer)
        writer.put(id.attempt)
    }

    private static func decodeID(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> TransactionID {
        TransactionID(request: try decodeRequest(&reader), attempt: try reader.uint64())
    }

    private static func encode(_ request: RequestID, to writer: inout ByteWriter) {
        writer.put(request.high)
        writer.put(request.low)
    }

    private static func decodeRequest(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> RequestID {
        RequestID(high: try reader.uint64(), low: try reader.uint64())
    }

    private static func encode(_ participants: [Participant], to writer: inout ByteWriter) {
        writer.put(UInt32(participants.count))
        for participant in participants {
            writer.put(participant.range.rawValue)
            writer.put(participant.generation.rawValue)
        }
    }

    private static func decodeParticipants(
        _ reader: inout ByteReader
    ) throws(ByteReader.Malformed) -> [Participant] {
        var participants: [Participant] = []
        for _ in 0..<(try count(&reader, atLeast: 12)) {
            let range = RangeID(try reader.uint64())
            participants.append(Participant(range, in: Generation(try reader.uint32())))
        }
        // What `Preparation` would trap on is, in bytes from a disk, an error.
        guard !participants.isEmpty else { throw ByteReader.Malformed() }
        return participants
    }

    private static func encode(_ ballot: Ballot, to writer: inout ByteWriter) {
        writer.put(UInt32(ballot.position))
        writer.put(ballot.generation.rawValue)
    }

    private static func decodeBallot(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> Ballot {
        let position = Int(try reader.uint32())
        return Ballot(position: position, generation: Generation(try reader.uint32()))
    }

    private static func encode(_ cause: UndoneTransaction.Cause, to writer: inout ByteWriter) {
        writer.put(cause.candidate.rawValue)
        writer.put(UInt8(cause.mayBeAcknowledged ? 1 : 0))
        encode(cause.participants, to: &writer)
    }

    private static func decodeCause(
        _ reader: inout ByteReader
    ) throws(ByteReader.Malformed) -> UndoneTransaction.Cause {
        let candidate = Timestamp(rawValue: try reader.int64())
        let flag = try reader.byte()
        guard flag <= 1 else { throw ByteReader.Malformed() }
        return .init(
            participants: try decodeParticipants(&reader), candidate: candidate, mayBeAcknowledged: flag == 1)
    }

    /// A count of things of which each takes so many bytes at least, so that a hostile one cannot ask for memory.
    private static func count(
        _ reader: inout ByteReader, atLeast byteCount: Int
    ) throws(ByteReader.Malformed) -> Int {
        let count = Int(try reader.uint32())
        guard count <= reader.remaining / byteCount else { throw ByteReader.Malformed() }
        return count
    }
}
