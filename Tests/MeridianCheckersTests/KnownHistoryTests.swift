import Foundation
import MeridianCheckers
import Testing

/// Small histories whose verdict is known from elsewhere: the Elle paper, Jepsen's reports, Herlihy and Wing.
struct KnownHistoryTests {
    struct Case: Sendable {
        let file: String
        let model: HistoryModel
        /// All that must be found; empty for a valid history.
        let expected: [AnomalyName]
        /// Without the order of processes and real time.
        var expectedIfSerializable: [AnomalyName]?
    }

    static let cases = [
        // Elle's README: T1 reads T2's y, and T2's x follows T1's.
        Case(file: "elle-readme-g1c", model: .append, expected: [.g1c]),
        // TiDB 2.1.7: a retried transaction appended after one that it had not read.
        Case(file: "tidb-lost-write-g-single", model: .append, expected: [.gSingle]),
        // FaunaDB 2.5.4: a transaction does not read its own append.
        Case(file: "faunadb-internal", model: .append, expected: [.internalInconsistency]),
        // Dgraph 1.1.1: one key's new value, another's old.
        Case(file: "dgraph-read-skew", model: .registers, expected: [.gSingle]),
        // Berenson et al. 1995, A5B.
        Case(file: "write-skew", model: .append, expected: [.g2Item]),
        Case(
            file: "stale-read", model: .append, expected: [AnomalyName(rawValue: "G-single-realtime")],
            expectedIfSerializable: []),
        Case(file: "aborted-read", model: .append, expected: [.g1a]),
        // An unknown transaction may take effect after its process gave up.
        Case(file: "unknown-then-read", model: .append, expected: []),
        // Half of it: whoever saw the append to x must see the one to y.
        Case(file: "unknown-half-seen", model: .append, expected: [.gSingle]),
        Case(file: "unknown-half-seen-registers", model: .registers, expected: [.gSingle]),
        // The second append of an unknown transaction without its first.
        Case(file: "unknown-without-its-first", model: .append, expected: [.incompatibleOrder, .gSingle]),
        Case(file: "own-later-append", model: .append, expected: [.internalInconsistency]),
        // One of each of two blind writers of both: no cycle is certain, and no order is left.
        Case(file: "no-order-of-registers", model: .registers, expected: [.nonSerializable]),
        // Two keys that Swift's strings take for one.
        Case(file: "keys-by-their-bytes", model: .append, expected: []),
        Case(file: "set-duplicate", model: .set, expected: [.duplicateElements]),
        Case(file: "bank-transfer-twice", model: .bank, expected: [.nonSerializable]),
        Case(file: "bank-beyond-64-bits", model: .bank, expected: [.moneyCreated]),
        Case(file: "serial", model: .append, expected: []),
        // Herlihy and Wing 1990, figure 1: new, then old, while the write still runs.
        Case(file: "herlihy-wing-register", model: .register, expected: [.nonLinearizable]),
        Case(file: "register-concurrent", model: .register, expected: []),
        Case(file: "long-fork", model: .longFork, expected: [.longFork]),
        // CockroachDB 2016: the answer without the question.
        Case(file: "comments", model: .causal, expected: [.causalReverse]),
        Case(file: "bank-read-skew", model: .bank, expected: [.moneyCreated]),
        Case(file: "set-lost", model: .set, expected: [.lostElement]),
    ]

    private func history(_ known: Case) throws -> History {
        let path = try #require(
            Bundle.module.path(forResource: known.file, ofType: "jsonl", inDirectory: "Histories"), "\(known.file)")
        let file = try #require(FileHandle(forReadingAtPath: path))
        return try HistoryReader.history(from: file, model: known.model)
    }

    @Test(arguments: cases.indices) func hasItsVerdict(number: Int) throws {
        let known = Self.cases[number]
        let verdict = try Checker.check(history(known))
        #expect(verdict.totals.map(\.name) == known.expected, "\(known.file): \(verdict.lines.joined(separator: "\n"))")
        guard let expected = known.expectedIfSerializable else { return }
        let weaker = try Checker.check(history(known), consistency: .serializable)
        #expect(weaker.totals.map(\.name) == expected, "\(known.file): \(weaker.lines.joined(separator: "\n"))")
    }

    @Test func aCycleNamesItsOperationsAndWhyEachEdgeHolds() throws {
        let verdict = try Checker.check(history(Self.cases[1]))
        let anomaly = try #require(verdict.anomalies.first)
        #expect(anomaly.operations.map(\.index).sorted() == [0, 1])
        #expect(anomaly.explanation.contains { $0.contains("(rw)") && $0.contains("without") })
        #expect(anomaly.explanation.contains { $0.contains("(ww)") })
    }
}
