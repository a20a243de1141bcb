import MeridianCore
import Testing

@testable import MeridianStorage

/// Transactions as bytes, and what hostile ones do: nothing but throw.
@Suite struct TransactionCodingTests {
    private func encode(_ table: TransactionTable) -> [UInt8] {
        var writer = ByteWriter(capacity: 1)
        TransactionCoding.encode(table, to: &writer)
        return writer.array
    }

    private func decodeTable(_ bytes: [UInt8]) throws -> TransactionTable {
        try bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            return try TransactionCoding.decodeTable(&reader)
        }
    }

    private func encode(_ step: CommitStep) -> [UInt8] {
        var writer = ByteWriter(capacity: 1)
        TransactionCoding.encode(step, to: &writer)
        return writer.array
    }

    private func decodeStep(_ bytes: [UInt8]) throws -> CommitStep {
        try bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            let step = try TransactionCoding.decodeStep(&reader)
            try reader.expectEnd()
            return step
        }
    }

    private let preparation = CommitStep.Preparation(
        participants: [Participant(RangeID(2)), Participant(RangeID(3), in: Generation(5))],
        candidate: Timestamp(nanoseconds: 4), readsElsewhere: true, acknowledgesDecided: true,
        priority: TransactionPriority(begun: Timestamp(nanoseconds: 5), request: RequestID(high: 6, low: 7)),
        keys: [Key([8])], spans: [KeySpan(lower: Key([9]), upper: nil)])

    // MARK: Steps

    @Test func theBytesOfAPrepareAreFixed() {
        func word(_ value: UInt8) -> [UInt8] { [value, 0, 0, 0, 0, 0, 0, 0] }
        func count(_ value: UInt8) -> [UInt8] { [value, 0, 0, 0] }
        let head = word(1) + [1] + word(4) + [3] + word(5) + word(6) + word(7)
        let participants = count(2) + word(2) + count(0) + word(3) + count(5)
        let keys = count(1) + count(1) + [8]
        let spans = count(1) + count(1) + [9] + [255, 255, 255, 255]
        #expect(
            encode(CommitStep(attempt: 1, kind: .prepare(preparation))) == head + participants + keys + spans)
    }

    @Test(arguments: [
        (CommitStep.Kind.commit, [UInt8(2)]), (.abort, [3]), (.forget([]), [4, 0, 0, 0, 0]), (.erase, [5]),
        (.promise(Ballot(position: 1, generation: Generation(2))), [6, 1, 0, 0, 0, 2, 0, 0, 0]),
        (.adopt([Participant(RangeID(9))]), [7, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (
            .undo(
                .init(
                    participants: [Participant(RangeID(9))], candidate: Timestamp(nanoseconds: 4),
                    mayBeAcknowledged: true)),
            [8, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        ),
    ])
    func theBytesOfTheOtherStepsAreFixed(kind: CommitStep.Kind, bytes: [UInt8]) {
        #expect(encode(CommitStep(attempt: 258, kind: kind)) == [2, 1, 0, 0, 0, 0, 0, 0] + bytes)
    }

    @Test(arguments: 1...UInt64(4)) func stepsComeBackAsTheyWere(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let step = random.step()
            #expect(try decodeStep(encode(step)) == step)
        }
    }

    @Test(arguments: 1...UInt64(4)) func entriesWithStepsComeBackAsTheyWere(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let command = Command(
                request: random.request(), timestamp: random.timestamp(), closed: random.timestamp(),
                mutations: random.mutations(), step: random.below(4) == 0 ? nil : random.step())
            let entry = Entry(term: Term(3), index: LogIndex(4), payload: .command(command))
            var writer = ByteWriter(capacity: 1)
            EntryCoding.encode(entry, of: RangeID(1), to: &writer)
            let decoded = try writer.array.withUnsafeBytes { bytes in
                var reader = ByteReader(bytes)
                return try EntryCoding.decode(of: RangeID(1), from: &reader)
            }
            #expect(decoded == entry)
        }
    }

    @Test func aStepOfAnUnknownKindIsRefused() {
        for kind in [UInt8(0), 9, 255] {
            #expect(throws: ByteReader.Malformed.self) { try decodeStep([1, 0, 0, 0, 0, 0, 0, 0, kind]) }
        }
    }

    /// Nobody could decide it.
    @Test func aTransactionWithoutParticipantsIsRefused() {
        var bytes = encode(CommitStep(attempt: 1, kind: .adopt([Participant(RangeID(9))])))
        bytes.removeLast(12)
        bytes[9] = 0
        #expect(throws: ByteReader.Malformed.self) { try decodeStep(bytes) }
    }

    @Test func anUnknownFlagIsRefused() {
        var bytes = encode(CommitStep(attempt: 1, kind: .prepare(preparation)))
        #expect(bytes[17] == 3)
        bytes[17] = 4
        #expect(throws: ByteReader.Malformed.self) { try decodeStep(bytes) }
    }

    /// `KeySpan` itself would trap.
    @Test func aSpanThatEndsBeforeItBeginsIsRefused() {
        var step = preparation
        step.spans = [KeySpan(lower: Key([9]), upper: Key([9]))]
        var bytes = encode(CommitStep(attempt: 1, kind: .prepare(step)))
        bytes[bytes.count - 1] = 8
        #expect(throws: ByteReader.Malformed.self) { try decodeStep(bytes) }
    }

    @Test func everyTruncatedStepIsRefused() {
        let bytes = encode(CommitStep(attempt: 1, kind: .prepare(preparation)))
        for count in bytes.indices {
            #expect(throws: ByteReader.Malformed.self) { try decodeStep(Array(bytes[..<count])) }
        }
    }

    @Test(arguments: 1...UInt64(4)) func hostileStepsNeverCrash(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<5_000 {
            var bytes = encode(random.step())
            damage(&bytes, &random)
            _ = try? decodeStep(bytes)
        }
    }

    // MARK: Tables

    @Test func aNewTableHasNoBytes() throws {
        #expect(encode(TransactionTable()).isEmpty)
        #expect(try decodeTable([]) == TransactionTable())
    }

    /// What was decided before is over, but its time says what comes later.
    @Test func anEmptyTableKeepsItsHighestTimestamp() throws {
        let table = TransactionTable(prepared: [], decided: [], undone: [], highest: Timestamp(nanoseconds: 9))
        #expect(try decodeTable(encode(table)) == table)
    }

    @Test(arguments: 1...UInt64(4)) func tablesComeBackAsTheyWere(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let table = random.transactionTable()
            #expect(try decodeTable(encode(table)) == table)
        }
    }

    /// Replicas are compared, and a dictionary has another order in each process and for each capacity.
    @Test func equalTablesHaveEqualBytes() {
        var random = SplitMix64(seed: 1)
        for _ in 0..<100 {
            let table = random.transactionTable()
            let turned = TransactionTable(
                prepared: table.prepared.values.sorted { $1.id < $0.id },
                decided: table.decided.values.sorted { $1.id < $0.id },
                undone: table.undone.values.sorted { $1.id < $0.id }, highest: table.highest)
            #expect(encode(turned) == encode(table))
            let ids = table.prepared.keys.sorted()
            guard let first = ids.first, let last = ids.last else { continue }
            let bytes = encode(table)
            let positions = [first, last].map { id in position(of: id.attempt, in: bytes) }
            #expect(positions[0] <= positions[1], "in the order of their ids")
        }
    }

    private func position(of word: UInt64, in bytes: [UInt8]) -> Int {
        let pattern = withUnsafeBytes(of: word.littleEndian) { Array($0) }
        return (0...(bytes.count - 8)).first { Array(bytes[$0..<($0 + 8)]) == pattern } ?? -1
    }

    @Test func everyTruncatedTableIsRefused() {
        var random = SplitMix64(seed: 2)
        for _ in 0..<20 {
            let bytes = encode(random.transactionTable())
            for count in 1..<bytes.count {
                #expect(throws: ByteReader.Malformed.self) { try decodeTable(Array(bytes[..<count])) }
            }
            #expect(throws: ByteReader.Malformed.self) { try decodeTable(bytes + [0]) }
        }
    }

    /// Four thousand million transactions in twenty bytes.
    @Test func aCountThatCannotBeTrueAsksForNoMemory() {
        for count in [[UInt8](repeating: 255, count: 4), [0, 0, 0, 1]] {
            let bytes = [UInt8](repeating: 0, count: 8) + count + [UInt8](repeating: 0, count: 8)
            #expect(throws: ByteReader.Malformed.self) { try decodeTable(bytes) }
        }
    }

    @Test(arguments: 1...UInt64(4)) func hostileTablesNeverCrash(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<5_000 {
            var bytes = encode(random.transactionTable())
            damage(&bytes, &random)
            _ = try? decodeTable(bytes)
        }
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        for _ in 0...random.below(3) where !bytes.isEmpty {
            let position = Int(random.below(UInt64(bytes.count)))
            switch random.below(4) {
            case 0: bytes.removeSubrange(position...)
            case 1: bytes.insert(UInt8(random.below(256)), at: position)
            case 2: bytes[position] = 255
            default: bytes[position] = UInt8(random.below(256))
            }
        }
    }
}
