import Foundation
import MeridianCore
import Testing

@testable import Meridian
@testable import MeridianReplica

/// The report of what a node had alone, where its log has let go of a part.
struct UnshippedFileTests {
    private func row(_ name: String, _ value: String?, at timestamp: Int64) -> KeyedVersion {
        KeyedVersion(
            key: Key(Array(name.utf8)),
            version: Version(timestamp: Timestamp(rawValue: timestamp), value: value.map { Array($0.utf8) }))
    }

    private func entry(_ index: UInt64, _ name: String, at timestamp: Int64) -> Entry {
        Entry(
            term: Term(1), index: LogIndex(index),
            payload: .command(
                Command(
                    request: RequestID(high: 1, low: index), timestamp: Timestamp(rawValue: timestamp), closed: .zero,
                    mutations: [Mutation(key: Key(Array(name.utf8)), value: [1])])))
    }

    private var salvage: Salvage {
        Salvage(
            range: RangeID(5), table: TableID(7), partition: "eu-west-1", generation: .first, fork: LogIndex(10),
            entries: [entry(13, "c", at: 130)], committed: LogIndex(13), compacted: 2, span: KeySpan(prefix: []),
            completeTo: Timestamp(rawValue: 100),
            rows: [row("a", "x", at: 110), row("b", nil, at: 110), row("c", "z", at: 130)])
    }

    @Test func whatTheLogHasLetGoOfIsReportedByItsRows() throws {
        let file = UnshippedFile(salvage)
        #expect(file.compacted == 2)
        // The row of a commit that the log has is not told twice.
        #expect(file.commits.map(\.timestamp).sorted() == [110, 130])
        let rows = try #require(file.commits.first { $0.timestamp == 110 })
        #expect(rows.index == 0 && rows.isCommitted && rows.isIncomplete)
        #expect(rows.changes.map(\.key) == ["a", "b"].map { Hexadecimal.text(Array($0.utf8)) })
        #expect(rows.changes.map(\.value) == [Hexadecimal.text(Array("x".utf8)), nil])
    }

    private func step(_ index: UInt64, _ request: UInt64, _ kind: CommitStep.Kind, _ names: [String]) -> Entry {
        Entry(
            term: Term(1), index: LogIndex(index),
            payload: .command(
                Command(
                    request: RequestID(high: 2, low: request), timestamp: Timestamp(rawValue: 200), closed: .zero,
                    mutations: names.map { Mutation(key: Key(Array($0.utf8)), value: [1]) },
                    step: CommitStep(attempt: request, kind: kind))))
    }

    /// Other ranges' logs can say that it has committed, and its client been told so.
    @Test func whatWasPreparedAndNoMoreIsReported() throws {
        let preparation = CommitStep.Preparation(
            participants: [Participant(RangeID(5)), Participant(RangeID(6))], candidate: Timestamp(rawValue: 200),
            readsElsewhere: false,
            priority: TransactionPriority(begun: .zero, request: RequestID(high: 2, low: 1)))
        var salvage = salvage
        salvage.rows = []
        salvage.entries = [
            step(14, 1, .prepare(preparation), ["d"]), step(15, 2, .prepare(preparation), ["e"]),
            step(16, 3, .prepare(preparation), ["f"]), step(17, 2, .commit, []), step(18, 3, .abort, []),
        ]
        let commits = UnshippedFile(salvage).commits
        let names = commits.map { $0.changes.map(\.key) }
        #expect(Set(names) == [[Hexadecimal.text(Array("d".utf8))], [Hexadecimal.text(Array("e".utf8))]])
        let prepared = try #require(commits.first { $0.isPrepared })
        #expect(prepared.index == 14)
        #expect(!prepared.isCommitted)
    }

    @Test func aReportThatIsMadeTwiceSaysEverythingOnce() {
        var file = UnshippedFile(salvage)
        file.add(UnshippedFile(salvage))
        #expect(file.commits.count == 2)
    }
}
