import MeridianCore
import Testing

@testable import MeridianConvergence

/// Records as bytes: there and back, and what is no record.
struct RecordCodingTests {
    private static let seeds: Range<UInt64> = 3000..<3030

    @Test(arguments: TestTable.all) func recordsComeBackAsTheyWere(_ table: TestTable) throws {
        for seed in Self.seeds {
            let history = try History(table, seed: seed)
            for record in (history.shipments + history.settled).map(\.record) {
                let bytes = try record.bytes(history.shape)
                let back = try RecordCoding.decode(bytes, history.shape, name: "t")
                #expect(back == record, history.comment)
                #expect(try back.bytes(history.shape) == bytes, history.comment)
                // What a reader of rows needs stands outside.
                let stored = try RowCoding.decode(bytes, name: "t")
                let flags = try #require(RecordCoding.flags(of: stored))
                #expect(flags.contains(.isAlive) == record.isAlive, history.comment)
                #expect(flags.contains(.hasSiblings) == record.hasSiblings, history.comment)
                #expect(Array(stored.dropLast(RecordCoding.extraValues)) == record.row(history.shape), history.comment)
            }
        }
    }

    @Test(arguments: TestTable.all) func everyTruncationIsDamage(_ table: TestTable) throws {
        let history = try History(table, seed: 1)
        let bytes = try history.settled[0].record.bytes(history.shape)
        for count in 0..<bytes.count { #expect(code(Array(bytes.prefix(count)), history.shape) == .corruption) }
        #expect(code(bytes + [0], history.shape) == .corruption)
        #expect(code(bytes, history.shape) == nil)
    }

    /// Flipped bits are an error, or make a record that merges and is written like any other.
    @Test(arguments: TestTable.all) func flippedBitsNeverTrap(_ table: TestTable) throws {
        for seed in Self.seeds.prefix(3) {
            let history = try History(table, seed: seed)
            let sound = history.settled[0].record
            let bytes = try sound.bytes(history.shape)
            for bit in 0..<(bytes.count * 8) {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << (bit % 8)
                try expectSound(damaged, sound, history, "bit \(bit)")
            }
        }
    }

    /// The same, inside the bytes that hold what the columns do not say: each value replaced by what may hurt.
    @Test(arguments: TestTable.all) func hostileValuesNeverTrap(_ table: TestTable) throws {
        let hostile: [Value] = [
            .integer(.min), .integer(.max), .integer(-1), .integer(0), .integer(1), .integer(2),
            .integer(Int64(UInt32.max)), .integer(Int64(UInt32.max) + 1), .null, .real(.nan), .text(""), .blob([]),
        ]
        for seed in Self.seeds.prefix(3) {
            let history = try History(table, seed: seed)
            let sound = history.settled[0].record
            let stored = try RowCoding.decode(try sound.bytes(history.shape), name: "t")
            guard case .blob(let rest)? = stored.last else { preconditionFailure("no blob") }
            let values = try RowCoding.decode(rest, name: "t")
            for position in values.indices {
                for value in hostile {
                    var changed = values
                    changed[position] = value
                    let bytes = try RowCoding.encode(changed, name: "t")
                    let whole = try RowCoding.encode(stored.dropLast() + [.blob(bytes)], name: "t")
                    try expectSound(whole, sound, history, "value \(position)")
                }
                var shorter = values
                shorter.remove(at: position)
                let bytes = try RowCoding.encode(shorter, name: "t")
                let whole = try RowCoding.encode(stored.dropLast() + [.blob(bytes)], name: "t")
                try expectSound(whole, sound, history, "without value \(position)")
            }
        }
    }

    private func code(_ bytes: [UInt8], _ shape: RecordShape) -> MeridianError.Code? {
        do throws(MeridianError) {
            _ = try RecordCoding.decode(bytes, shape, name: "t")
            return nil
        } catch { return error.code }
    }

    private func expectSound(_ bytes: [UInt8], _ sound: Record, _ history: History, _ what: String) throws {
        let shape = history.shape
        let comment: Comment = "\(what), \(history.table.name), seed \(history.seed)"
        do throws(MeridianError) {
            let record = try RecordCoding.decode(bytes, shape, name: "t")
            // Whatever it says, it can be used.
            let merged = (record.merged(with: sound, shape), sound.merged(with: record, shape))
            #expect(merged.0.seen == merged.1.seen, comment)
            for field in shape.fields.indices { _ = record.siblings(of: field, shape) }
            var deleted = record
            deleted.delete(by: Origin(7), at: .zero)
            _ = try RecordCoding.encode(record, shape, name: "t")
        } catch {
            #expect([.corruption, .newerFormat, .olderFormat].contains(error.code), comment)
            #expect(error.message.contains("table t"), comment)
        }
    }

    @Test func aNewerFormatSaysSo() throws {
        let table = TestTable("counter", [(1, .counter)])
        let record = try Record(
            writing: [.text("k"), .integer(1)], over: nil, table.shape, by: Origin(1), at: .zero, name: "t")
        var stored = try RowCoding.decode(try record.bytes(table.shape), name: "t")
        guard case .blob(let rest)? = stored.last else { preconditionFailure("no blob") }
        for (format, expected) in [
            (3, MeridianError.Code.newerFormat), (1, .olderFormat), (0, .corruption), (-1, .corruption),
        ] {
            var values = try RowCoding.decode(rest, name: "t")
            values[0] = .integer(Int64(format))
            stored[stored.count - 1] = .blob(try RowCoding.encode(values, name: "t"))
            #expect(code(try RowCoding.encode(stored, name: "t"), table.shape) == expected)
        }
    }

    /// Columns that say something else than the cells, and flags that do: readers of rows would be shown it.
    @Test func columnsAndFlagsAgreeWithTheCells() throws {
        let table = TestTable("mixed", [(1, .counter), (1, .addWinsSet), (1, .siblings)])
        let row: [Value] = [.text("k"), .integer(1), .text("[1]"), .null]
        let record = try Record(writing: row, over: nil, table.shape, by: Origin(1), at: .zero, name: "t")
        let stored = try RowCoding.decode(try record.bytes(table.shape), name: "t")
        let changes: [(Int, Value)] = [
            (1, .integer(2)), (2, .text("[1,2]")), (2, .text("[ 1]")), (3, .integer(0)), (4, .integer(3)),
            (4, .integer(5)), (4, .integer(-1)), (4, .null), (5, .blob([])), (5, .null),
        ]
        for (position, value) in changes {
            var changed = stored
            changed[position] = value
            #expect(code(try RowCoding.encode(changed, name: "t"), table.shape) == .corruption, "value \(position)")
        }
        for count in 0..<stored.count {
            #expect(code(try RowCoding.encode(Array(stored.prefix(count)), name: "t"), table.shape) == .corruption)
        }
    }
}
