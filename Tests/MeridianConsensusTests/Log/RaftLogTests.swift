import MeridianConsensus
import MeridianCore
import Testing

@Suite struct RaftLogTests {
    private func entries(_ terms: [UInt64], from first: UInt64 = 1) -> [Entry] {
        terms.enumerated().map { offset, term in
            Entry(term: Term(term), index: LogIndex(first + UInt64(offset)), payload: .empty)
        }
    }

    private func log(_ terms: [UInt64], base: LogPosition = .zero) -> RaftLog {
        RaftLog(base: base, entries: entries(terms, from: base.index.rawValue + 1))
    }

    private func position(_ index: UInt64, _ term: UInt64) -> LogPosition {
        LogPosition(term: Term(term), index: LogIndex(index))
    }

    private func terms(_ log: RaftLog) -> [UInt64] {
        log.slice(from: log.firstIndex, through: log.lastIndex).map(\.term.rawValue)
    }

    @Test func mergeKeepsWhatAgrees() {
        var log = log([1, 1, 2])
        let result = log.merge(entries([1, 2], from: 2), after: position(1, 1), commit: .zero)
        #expect(result == .merged(last: LogIndex(3), truncatedFrom: nil, firstAppended: nil))
        #expect(terms(log) == [1, 1, 2])
    }

    /// A message that is older than the log must not cut it: its rest may have been acknowledged.
    @Test func aShortMessageCutsNothing() {
        var log = log([1, 1, 1, 1])
        let result = log.merge(entries([1], from: 2), after: position(1, 1), commit: .zero)
        #expect(result == .merged(last: LogIndex(2), truncatedFrom: nil, firstAppended: nil))
        #expect(log.lastIndex == LogIndex(4))
    }

    @Test func aConflictReplacesTheRest() {
        var log = log([1, 1, 2, 2])
        let result = log.merge(entries([3, 3], from: 3), after: position(2, 1), commit: LogIndex(2))
        #expect(result == .merged(last: LogIndex(4), truncatedFrom: LogIndex(3), firstAppended: LogIndex(3)))
        #expect(terms(log) == [1, 1, 3, 3])
    }

    @Test func aGapIsAMismatch() {
        var log = log([1, 1])
        let did1 = log.merge([], after: position(5, 1), commit: .zero)
        #expect(did1 == .mismatch(hint: position(2, 1)))
    }

    @Test func theHintSkipsNewerTerms() {
        var log = log([1, 1, 3, 3, 3])
        let did2 = log.merge([], after: position(5, 2), commit: .zero)
        #expect(did2 == .mismatch(hint: position(2, 1)))
    }

    @Test func theHintIsNeverBelowTheCommit() {
        var log = log([1, 2, 3, 3])
        let did3 = log.merge([], after: position(4, 1), commit: LogIndex(2))
        #expect(did3 == .mismatch(hint: position(2, 2)))
    }

    @Test func aMessageMayReachBehindTheBase() {
        var log = log([2, 2], base: position(4, 2))
        let result = log.merge(entries([1, 2, 2, 2, 2, 3], from: 2), after: position(1, 1), commit: LogIndex(5))
        #expect(result == .merged(last: LogIndex(7), truncatedFrom: nil, firstAppended: LogIndex(7)))
        #expect(terms(log) == [2, 2, 3])
    }

    @Test func searchesAgreeWithScans() {
        let log = log([1, 1, 2, 4, 4, 7], base: position(3, 1))
        for index in UInt64(3)...12 {
            for term in UInt64(0)...8 {
                var scan = min(index, 9)
                while scan > 3, log.term(at: LogIndex(scan))!.rawValue > term { scan -= 1 }
                let found = log.lastPosition(atOrBelow: LogIndex(index), termAtMost: Term(term))
                #expect(found.index == LogIndex(scan))
            }
        }
    }

    @Test func sizesSurviveCompaction() {
        var log = log([1, 1, 1, 1, 1])
        let size = log.byteCount(after: LogIndex(3), through: LogIndex(5))
        #expect(size == 48)
        log.compact(through: LogIndex(3))
        #expect(log.byteCount(after: LogIndex(3), through: LogIndex(5)) == size)
        #expect(log.base == position(3, 1) && log.count == 2)
    }

    @Test func messagesEndAtTheirLimits() {
        let log = log([1, 1, 1, 1, 1, 1])
        #expect(log.end(of: LogIndex(2), maximumEntries: 3, maximumBytes: 1 << 20) == LogIndex(4))
        #expect(log.end(of: LogIndex(2), maximumEntries: 100, maximumBytes: 50) == LogIndex(3))
        #expect(log.end(of: LogIndex(2), maximumEntries: 100, maximumBytes: 1) == LogIndex(2))
        #expect(log.end(of: LogIndex(2), maximumEntries: 100, maximumBytes: 1000) == LogIndex(6))
    }
}

@Suite struct RaftLogPersistenceTests {
    private func entry(_ index: UInt64, _ term: UInt64) -> Entry {
        Entry(term: Term(term), index: LogIndex(index), payload: .empty)
    }

    private func token(_ number: UInt64) -> PersistToken { PersistToken(rawValue: number) }

    @Test func onlyConfirmedEntriesAreDurable() {
        var log = RaftLog(base: .zero, entries: [])
        log.append(entry(1, 1))
        log.append(entry(2, 1))
        #expect(log.schedule(token(1), at: .zero).entries.count == 2)
        log.append(entry(3, 1))
        #expect(log.schedule(token(2), at: .zero).entries.map(\.index) == [LogIndex(3)])
        #expect(log.persisted == .zero)
        let did4 = log.confirm(token(1))
        #expect(did4 && log.persisted == LogIndex(2))
        let did5 = log.confirm(token(2))
        #expect(did5 && log.persisted == LogIndex(3))
    }

    @Test func aLateConfirmationDoesNotSpeakForOverwrittenEntries() {
        var log = RaftLog(base: .zero, entries: [entry(1, 1)])
        log.append(entry(2, 1))
        log.append(entry(3, 1))
        _ = log.schedule(token(1), at: .zero)
        log.truncate(from: LogIndex(2))
        log.append(entry(2, 2))
        _ = log.schedule(token(2), at: .zero)
        let did6 = log.confirm(token(1))
        #expect(!did6 && log.persisted == LogIndex(1))
        let did7 = log.confirm(token(2))
        #expect(did7 && log.persisted == LogIndex(2))
    }

    /// The entries of term 1 are overwritten in term 2 and come back in term 3. The first write of them is confirmed,
    /// but the second job, still under way, will erase them before the third brings them back.
    @Test func aLateConfirmationDoesNotSpeakForEntriesThatCameBack() {
        var log = RaftLog(base: .zero, entries: [entry(1, 1)])
        log.append(entry(2, 1))
        log.append(entry(3, 1))
        _ = log.schedule(token(1), at: .zero)
        log.truncate(from: LogIndex(2))
        log.append(entry(2, 2))
        _ = log.schedule(token(2), at: .zero)
        log.truncate(from: LogIndex(2))
        log.append(entry(2, 1))
        log.append(entry(3, 1))
        _ = log.schedule(token(3), at: .zero)
        let did8 = log.confirm(token(1))
        #expect(!did8)
        #expect(log.persisted == LogIndex(1))
        _ = log.confirm(token(2))
        #expect(log.persisted == LogIndex(1))
        _ = log.confirm(token(3))
        #expect(log.persisted == LogIndex(3))
    }

    @Test func aResetMakesNothingDurableUntilItIs() {
        var log = RaftLog(base: .zero, entries: [entry(1, 1), entry(2, 1)])
        log.append(entry(3, 1))
        _ = log.schedule(token(1), at: .zero)
        log.reset(to: LogPosition(term: Term(2), index: LogIndex(9)))
        #expect(log.persisted == .zero)
        #expect(log.schedule(token(2), at: .zero).reset?.index == LogIndex(9))
        _ = log.confirm(token(1))
        #expect(log.persisted == .zero)
        _ = log.confirm(token(2))
        #expect(log.persisted == LogIndex(9))
    }

    /// A job that only carries messages says no more than the jobs before it.
    @Test func aJobWithoutEntriesClaimsNoMore() {
        var log = RaftLog(base: .zero, entries: [entry(1, 1)])
        log.append(entry(2, 1))
        _ = log.schedule(token(1), at: .zero)
        _ = log.schedule(token(2), at: .zero)
        log.truncate(from: LogIndex(2))
        _ = log.confirm(token(2))
        #expect(log.persisted == LogIndex(1))
    }
}
