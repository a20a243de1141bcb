import MeridianCore
import Testing

@testable import MeridianConvergence

/// Single writes: what they refuse, and the corners that made-up histories do not reach.
struct RecordWriteTests {
    private func record(
        _ table: TestTable, _ values: [Value], over earlier: Record? = nil, by origin: UInt32 = 1, at time: Int64 = 0,
        key: Value = .text("k")
    ) throws(MeridianError) -> Record {
        try Record(
            writing: [key] + values, over: earlier, table.shape, by: Origin(origin), at: Timestamp(rawValue: time),
            name: "tallies")
    }

    private func error(_ body: () throws(MeridianError) -> Record) -> MeridianError? {
        do throws(MeridianError) {
            _ = try body()
            return nil
        } catch { return error }
    }

    // MARK: What does not fit

    private let growOnly = TestTable("grow-only", [(1, .growOnlyCounter)])

    @Test(arguments: [(5, 4), (0, -1), (.max, .min), (.max, 0), (-5, .min)] as [(Int64, Int64)])
    func aGrowOnlyCounterRefusesToGoDown(_ from: Int64, _ to: Int64) throws {
        let before = try record(growOnly, [.integer(from)])
        let error = try #require(
            error { () throws(MeridianError) in
                try record(growOnly, [.integer(to)], over: before)
            })
        #expect(error.code == .resolverMismatch)
        #expect(error.message.contains("tallies") && error.message.contains("grow-only counter"))
    }

    @Test(arguments: [(4, 5), (4, 4), (-5, .max), (.min, .max)] as [(Int64, Int64)])
    func aGrowOnlyCounterGoesUp(_ from: Int64, _ to: Int64) throws {
        let record = try record(growOnly, [.integer(to)], over: try record(growOnly, [.integer(from)]))
        #expect(record.row(growOnly.shape)[1] == .integer(to))
    }

    /// A row made anew starts anew.
    @Test func aGrowOnlyCounterMayBeLessInARowMadeAnew() throws {
        var before = try record(growOnly, [.integer(9)])
        before.delete(by: Origin(1), at: .zero)
        #expect(try record(growOnly, [.integer(2)], over: before).row(growOnly.shape)[1] == .integer(2))
    }

    /// One copy has forgotten a deletion and makes the row anew, while another one still remembers it.
    @Test func aRowMadeAnewIsNewsForWhoRemembersItsDeletion() throws {
        let table = TestTable("note", [(1, .lastWriterWins)])
        let minute: Int64 = 60_000_000_000
        var remembered = try record(table, [.text("a")], at: minute)
        for text in ["b", "c"] { remembered = try record(table, [.text(text)], over: remembered, at: minute) }
        remembered.delete(by: Origin(1), at: Timestamp(rawValue: minute))
        let anew = try record(table, [.text("d")], at: 3 * minute)
        let isNews = remembered.merge(anew, table.shape)
        #expect(isNews)
        #expect(remembered.isAlive && remembered.row(table.shape)[1] == .text("d"))
    }

    /// Also where the row has one column beside its key; by columns, what is written unchanged is no news.
    @Test(arguments: [true, false])
    func aWholeRowIsAssertedByEveryWrite(isWhole: Bool) throws {
        let schema = TableSchema(
            name: "t", columns: [ColumnSchema("id", .integer), ColumnSchema("text", .text)], keyColumns: [0])
        let shape = RecordShape(schema, columns: [:], others: .lastWriterWins, isWhole: isWhole)
        func written(_ text: String, over earlier: Record?, by origin: UInt32, at time: Int64) throws -> Record {
            try Record(
                writing: [.integer(1), .text(text)], over: earlier, shape, by: Origin(origin),
                at: Timestamp(rawValue: time), name: "t")
        }
        let base = try written("a", over: nil, by: 1, at: 1)
        var changed = try written("b", over: base, by: 1, at: 2)
        _ = changed.merge(try written("a", over: base, by: 2, at: 3), shape)
        #expect(changed.row(shape)[1] == .text(isWhole ? "a" : "b"))
    }

    /// Nothing of the old row is added to the new one, in whichever order the two meet.
    @Test func whatWasStrippedDoesNotComeBackWithARowMadeAnew() throws {
        let table = TestTable(
            "all", [(1, .counter), (1, .addWinsSet), (1, .siblings), (1, .merge), (1, .lastWriterWins)])
        let minute: Int64 = 60_000_000_000
        let old: [Value] = [.integer(5), .text("[1,2]"), .text("a"), .text("b"), .text("c")]
        var remembered = try record(table, old, by: 2, at: minute)
        remembered = try record(table, [.integer(8)] + old.dropFirst(), over: remembered, by: 1, at: minute)
        remembered.delete(by: Origin(1), at: Timestamp(rawValue: minute))
        let (seen, life) = (remembered.seen, remembered.life)
        let unstripped = remembered
        let hasStripped = remembered.settle(.stripped)
        let hasMore = remembered.settle(.stripped)
        #expect(hasStripped && !hasMore)
        // It has seen the same, and is stored like any.
        #expect(remembered.seen == seen && remembered.life.stamp == life.stamp)
        let bytes = try RecordCoding.encode(remembered, table.shape, name: "t")
        #expect(try RecordCoding.decode(bytes, table.shape, name: "t") == remembered)

        // Nor does it come back from a copy that has not stripped it, whichever way they meet.
        let (whole, bare) = (try unstripped.bytes(table.shape), try remembered.bytes(table.shape))
        #expect(try RecordJoin.join(bare, whole, table.shape, name: "t").stored == nil)
        #expect(try RecordJoin.join(whole, bare, table.shape, name: "t").stored == bare)

        let new: [Value] = [.integer(3), .text("[7]"), .text("x"), .text("y"), .text("z")]
        let anew = try record(table, new, by: 1, at: 3 * minute)
        var (first, second) = (remembered, anew)
        _ = first.merge(anew, table.shape)
        _ = second.merge(remembered, table.shape)
        #expect(first == second)
        #expect(first.isAlive && !first.hasSiblings)
        #expect(first.row(table.shape).dropFirst() == new[...])
    }

    @Test func aGrowOnlySetRefusesToShrink() throws {
        let table = TestTable("grow-only set", [(1, .growOnlySet)])
        var before = try record(table, [.text("[1,2]")])
        let error = try #require(
            error { () throws(MeridianError) in
                try record(table, [.text("[1,3]")], over: before)
            })
        #expect(error.code == .resolverMismatch && error.message.contains("grow-only set"))
        #expect(try record(table, [.text("[3,2,1]")], over: before).row(table.shape)[1] == .text("[1,2,3]"))
        before.delete(by: Origin(1), at: .zero)
        #expect(try record(table, [.text("[4]")], over: before).row(table.shape)[1] == .text("[4]"))
    }

    @Test(
        arguments: [
            (.counter, .text("1")), (.counter, .null), (.growOnlyCounter, .real(1)), (.addWinsSet, .text("1")),
            (.addWinsSet, .null), (.growOnlySet, .blob([0x5B, 0x5D])), (.growOnlySet, .text("{}")),
        ] as [(Resolver, Value)])
    func aColumnThatDoesNotFitItsResolverIsRefused(_ resolver: Resolver, _ value: Value) throws {
        let table = TestTable("one", [(1, resolver)])
        let error = try #require(error { () throws(MeridianError) in try record(table, [value]) })
        #expect(error.code == .typeMismatch && error.message.contains("tallies"))
    }

    // MARK: Corners

    /// No sum wraps: copies agree on it, and show the nearest number that a column holds.
    @Test func countersBeyondAnIntegerConvergeAndShowTheNearest() throws {
        let table = TestTable("counter", [(1, .counter)])
        var copies = [try record(table, [.integer(0)])]
        for value in [.max, 0, .max, .min, .max, .min, -1, .max] as [Int64] {
            copies.append(try record(table, [.integer(value)], over: copies.last))
            #expect(copies.last?.row(table.shape)[1] == .integer(value))
        }
        let other = try record(table, [.integer(5)], over: copies[0], by: 2)
        let expected = copies.last!.merged(with: other, table.shape)
        #expect(expected.row(table.shape)[1] == .integer(.max))
        for copy in copies {
            let early = copy.merged(with: other, table.shape)
            #expect(early.merged(with: copies.last!, table.shape) == expected)
            #expect(copies.last!.merged(with: early, table.shape) == expected)
        }
        // What was too much is not forgotten.
        let less = try record(table, [.integer(-20)], over: copies[0], by: 3)
        #expect(expected.merged(with: less, table.shape).row(table.shape)[1] == .integer(.max - 15))
        #expect(try RecordCoding.decode(expected.bytes(table.shape), table.shape, name: "t") == expected)
    }

    /// What is written is what is read, or it is refused.
    @Test func aCounterBeyondAnIntegerRefusesToBeChanged() throws {
        let table = TestTable("counter", [(1, .counter), (1, .lastWriterWins)])
        let base = try record(table, [.integer(0), .text("a")])
        let left = try record(table, [.integer(.max), .text("a")], over: base)
        let both = left.merged(with: try record(table, [.integer(7), .text("a")], over: base, by: 2), table.shape)
        let error = try #require(
            error { () throws(MeridianError) in try record(table, [.integer(.max - 1), .text("a")], over: both) })
        #expect(error.code == .resolverMismatch && error.message.contains("delete the row"))
        // Who writes another column does not touch it.
        var next = try record(table, [.integer(.max), .text("b")], over: both)
        #expect(next.row(table.shape)[1] == .integer(.max) && next.cells[0] == both.cells[0])
        next.delete(by: Origin(1), at: .zero)
        #expect(try record(table, [.integer(3), .text("c")], over: next).row(table.shape)[1] == .integer(3))
    }

    /// A row made anew counts from nothing, and what others add meanwhile counts, once.
    @Test func aCounterMadeAnewKeepsWhatOthersAddMeanwhile() throws {
        let table = TestTable("counter", [(1, .counter)])
        let base = try record(table, [.integer(10)], by: 2, at: 1)
        let more = try record(table, [.integer(11)], over: base, by: 2, at: 2)
        var anew = base
        anew.delete(by: Origin(1), at: Timestamp(rawValue: 3))
        anew = try record(table, [.integer(3)], over: anew, by: 1, at: 4)
        #expect(anew.row(table.shape)[1] == .integer(3))
        let both = anew.merged(with: more, table.shape)
        #expect(both.row(table.shape)[1] == .integer(4) && both == more.merged(with: anew, table.shape))
        // And once more, over what was cancelled.
        var again = both
        again.delete(by: Origin(3), at: Timestamp(rawValue: 5))
        again = try record(table, [.integer(1)], over: again, by: 3, at: 6)
        #expect(again.merged(with: more, table.shape).row(table.shape)[1] == .integer(1))
    }

    // MARK: Erasures

    /// Whatever was written before, or without having heard of it.
    @Test func anErasureAbsorbsAllStatesThatDoNotKnowOfIt() throws {
        let table = TestTable("all", [(1, .counter), (1, .addWinsSet), (1, .siblings), (1, .lastWriterWins)])
        let old: [Value] = [.integer(5), .text("[1,2]"), .text("a"), .text("c")]
        let base = try record(table, old, by: 2, at: 1)
        let late = try record(table, [.integer(9)] + old.dropFirst(), over: base, by: 2, at: 1_000)
        let new: [Value] = [.integer(1), .text("[3]"), .text("x"), .text("z")]
        let anew = try Record(
            writing: [.text("k")] + new, over: base, table.shape, by: Origin(1), at: Timestamp(rawValue: 20),
            erasedAt: Timestamp(rawValue: 10), name: "t")
        for other in [base, late] {
            var reports: [Conflict] = []
            var mine = other
            let hasChanged = mine.merge(anew, table.shape) { reports.append($0) }
            #expect(hasChanged && mine == anew && anew.merged(with: other, table.shape) == anew)
            // A report would hold what was erased.
            #expect(reports.isEmpty)
            let bytes = try other.bytes(table.shape)
            // Where only the mark is left of the row.
            #expect(
                try RecordJoin.join(nil, bytes, erasedAt: Timestamp(rawValue: 10), table.shape, name: "t").stored
                    == nil)
        }
        #expect(anew.row(table.shape).dropFirst() == new[...])
        #expect(try RecordCoding.decode(anew.bytes(table.shape), table.shape, name: "t") == anew)
        #expect(try RecordCoding.erasure(of: anew.bytes(table.shape), name: "t") == Timestamp(rawValue: 10))
    }

    /// Two spellings of one key are one row, whose bytes must agree.
    @Test func negativeZeroIsOneKeyWithZero() throws {
        let table = TestTable("registers", [(1, .lastWriterWins), (1, .lastWriterWins)])
        let left = try record(table, [.integer(1), .null], by: 1, at: 5, key: .real(0))
        let right = try record(table, [.integer(2), .null], by: 2, at: 6, key: .real(-0.0))
        let bytes = try left.merged(with: right, table.shape).bytes(table.shape)
        #expect(try right.merged(with: left, table.shape).bytes(table.shape) == bytes)
    }

    /// Who deletes a row has seen its latest write, but not an earlier one of another column.
    @Test func aDeletionReportsTheEarlierWriteThatItHasNotSeen() throws {
        let table = TestTable("registers", [(1, .lastWriterWins), (1, .lastWriterWins)])
        let made = try record(table, [.integer(1), .integer(1)], at: 1)
        let unseen = try record(table, [.integer(1), .integer(2)], over: made, by: 2, at: 10)
        let latest = try record(table, [.integer(3), .integer(1)], over: made, by: 3, at: 20)
        var deleted = latest
        deleted.delete(by: Origin(3), at: Timestamp(rawValue: 30))
        var alive = latest.merged(with: unseen, table.shape)
        var reports: [Conflict] = []
        let hasChanged = alive.merge(deleted, table.shape) { reports.append($0) }
        #expect(hasChanged && !alive.isAlive)
        #expect(reports.map(\.kind) == [.deleted])
        #expect(reports.first?.content == [.text("k"), .integer(3), .integer(2)])
    }

    /// An element that is in a row made anew was added anew, even if it was there before.
    @Test func aSetMadeAnewKeepsWhatOthersRemoved() throws {
        let table = TestTable("set", [(1, .addWinsSet)])
        let made = try record(table, [.text("[1,2]")], at: 1)
        var anew = made
        anew.delete(by: Origin(1), at: Timestamp(rawValue: 2))
        anew = try record(table, [.text("[1]")], over: anew, at: 3)
        let removed = try record(table, [.text("[2]")], over: made, by: 2, at: 4)
        #expect(anew.merged(with: removed, table.shape).row(table.shape)[1] == .text("[1]"))
    }

    // MARK: Siblings

    @Test(arguments: [Resolver.siblings, .merge]) func siblingsComeWithTheirAncestorIfItIsKnown(
        _ resolver: Resolver
    ) throws {
        let table = TestTable("siblings", [(1, resolver), (1, .lastWriterWins)])
        let made = try record(table, [.integer(1), .text("x")], at: 1)
        #expect(made.siblings(of: 0, table.shape).ancestor == nil)
        let left = try record(table, [.integer(2), .text("x")], over: made, by: 2, at: 5)
        let right = try record(table, [.integer(3), .text("y")], over: made, by: 3, at: 4)
        let both = left.merged(with: right, table.shape)
        #expect(both.hasSiblings && !left.hasSiblings)
        let (rows, ancestor) = both.siblings(of: 0, table.shape)
        // The latest last; the other columns as they are now.
        #expect(rows == [[.text("k"), .integer(3), .text("y")], [.text("k"), .integer(2), .text("y")]])
        #expect(both.row(table.shape) == rows.last)
        #expect(ancestor == (resolver == .merge ? [.text("k"), .integer(1), .text("y")] : nil))
        // A field of another kind has one value and no ancestor.
        #expect(both.siblings(of: 1, table.shape).rows == [both.row(table.shape)])
        let resolved = try record(table, [.integer(9), .text("y")], over: both, by: 2, at: 6)
        #expect(!resolved.hasSiblings && both.merged(with: resolved, table.shape) == resolved)
        // It replaces two values: none of them is the ancestor.
        #expect(resolved.siblings(of: 0, table.shape).ancestor == nil)
    }

    @Test func siblingsWithoutACommonBaseHaveNoAncestor() throws {
        let table = TestTable("merge", [(1, .merge)])
        let made = try record(table, [.integer(1)], at: 1)
        let stranger = try record(table, [.integer(7)], by: 4, at: 1)
        let next = try record(table, [.integer(2)], over: made, at: 2)
        #expect(next.siblings(of: 0, table.shape).ancestor == [.text("k"), .integer(1)])
        #expect(next.merged(with: stranger, table.shape).siblings(of: 0, table.shape).ancestor == nil)
        let later = try record(table, [.integer(3)], over: next, at: 3)
        let other = try record(table, [.integer(4)], over: made, by: 2, at: 3)
        #expect(later.merged(with: other, table.shape).siblings(of: 0, table.shape).ancestor == nil)
    }
}
