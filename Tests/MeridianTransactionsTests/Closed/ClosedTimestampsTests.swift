import MeridianCore
import MeridianTransactions
import Testing

@Suite struct ClosedTimestampsTests {
    private func promise(_ timestamp: Int64, _ index: UInt64) -> ClosedTimestamp {
        ClosedTimestamp(
            timestamp: Timestamp(rawValue: timestamp), position: LogPosition(term: Term(1), index: LogIndex(index)))
    }

    @Test func aPromiseIsOfNoUseBeforeItsEntriesAreApplied() {
        var closed = ClosedTimestamps()
        closed.note(promise(100, 5), applied: LogIndex(4))
        #expect(closed.usable == .zero)
        #expect(closed.newest == Timestamp(rawValue: 100))
        closed.advance(to: LogIndex(5))
        #expect(closed.usable == Timestamp(rawValue: 100))
        #expect(closed.waiting.isEmpty)
    }

    @Test func aPromiseOfAppliedEntriesIsUsableAtOnce() {
        var closed = ClosedTimestamps()
        closed.note(promise(100, 5), applied: LogIndex(7))
        #expect(closed.usable == Timestamp(rawValue: 100))
    }

    @Test func usableNeverFalls() {
        var closed = ClosedTimestamps(usable: Timestamp(rawValue: 50))
        closed.note(promise(40, 1), applied: LogIndex(1))
        #expect(closed.usable == Timestamp(rawValue: 50))
        closed.advance(to: LogIndex(9))
        #expect(closed.usable == Timestamp(rawValue: 50))
    }

    @Test func anEarlierPromiseThatAsksForLessIsKept() {
        var closed = ClosedTimestamps()
        closed.note(promise(200, 9), applied: .zero)
        closed.note(promise(100, 3), applied: .zero)
        closed.note(promise(90, 4), applied: .zero)
        #expect(closed.waiting == [promise(100, 3), promise(200, 9)])
        closed.advance(to: LogIndex(3))
        #expect(closed.usable == Timestamp(rawValue: 100))
        #expect(closed.waiting(for: Timestamp(rawValue: 101)) == promise(200, 9))
        #expect(closed.waiting(for: Timestamp(rawValue: 99)) == nil)
        #expect(closed.waiting(for: Timestamp(rawValue: 201)) == nil)
    }

    @Test func aLaterPromiseThatAsksForLessReplacesOthers() {
        var closed = ClosedTimestamps()
        closed.note(promise(100, 8), applied: .zero)
        closed.note(promise(200, 8), applied: .zero)
        #expect(closed.waiting == [promise(200, 8)])
    }

    @Test func manyPromisesAreThinnedOut() {
        var closed = ClosedTimestamps()
        for number in 1...100 { closed.note(promise(Int64(number) * 10, UInt64(number)), applied: .zero) }
        #expect(closed.waiting.count == ClosedTimestamps.capacity)
        #expect(closed.waiting.first == promise(10, 1))
        #expect(closed.newest == Timestamp(rawValue: 1000))
    }
}
