import MeridianCore
import MeridianStorage
import MeridianTransactions
import Testing

@testable import MeridianReplica

@Suite struct EvaluationTests {
    private let range = RangeID(2)
    private let known = RequestID(high: 1, low: 1)
    private func key(_ number: UInt8) -> Key { Key([number]) }

    /// Key 1 was written at 10 and 20, key 2 written at 10 and deleted at 30.
    private func reader() throws -> any StateReader {
        let store = MemoryStateStore()
        func command(_ index: UInt64, _ time: Int64, _ key: UInt8, _ value: [UInt8]?) -> IndexedCommand {
            let timestamp = Timestamp(rawValue: time)
            return IndexedCommand(
                index: LogIndex(index),
                command: Command(
                    request: RequestID(high: 1, low: index), timestamp: timestamp, closed: timestamp,
                    mutations: [Mutation(key: Key([key]), value: value)]))
        }
        let state = AppliedState(
            position: LogPosition(term: Term(1), index: LogIndex(4)), membership: Membership(members: []),
            closed: Timestamp(rawValue: 30))
        let commands = [
            command(1, 10, 1, [1]), command(2, 11, 2, [2]), command(3, 20, 1, [3]), command(4, 30, 2, nil),
        ]
        try store.apply([ApplyBatch(range: range, commands: commands, state: state)])
        return store.makeReader()
    }

    private func code(_ precondition: Precondition) throws -> MeridianError.Code? {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .commit([precondition], lookUp: nil)
        )
        switch evaluation.run(with: try reader()).outcome {
        case .mayCommit: return nil
        case .failed(let error): return error.code
        case .rows, .wasAborted, .alreadyApplied: preconditionFailure("another answer")
        }
    }

    @Test func absentHoldsWithoutARowAndAfterItsDeletion() throws {
        #expect(try code(.absent(key(1))) == .duplicateKey)
        #expect(try code(.absent(key(2))) == nil)
        #expect(try code(.absent(key(3))) == nil)
    }

    @Test func presentHoldsWithARow() throws {
        #expect(try code(.present(key(1))) == nil)
        #expect(try code(.present(key(2))) == .rowNotFound)
        #expect(try code(.present(key(3))) == .rowNotFound)
    }

    @Test func unchangedHoldsFromTheLastWriteOn() throws {
        #expect(try code(.unchanged(key(1), since: Timestamp(rawValue: 19))) == .conflict)
        #expect(try code(.unchanged(key(1), since: Timestamp(rawValue: 20))) == nil)
        #expect(try code(.unchanged(key(2), since: Timestamp(rawValue: 29))) == .conflict, "a deletion is a write")
        #expect(try code(.unchanged(key(3), since: .zero)) == nil)
    }

    @Test func unchangedSpanCountsDeletionsToo() throws {
        let span = KeySpan(lower: key(1), upper: key(3))
        #expect(try code(.unchangedSpan(span, since: Timestamp(rawValue: 29))) == .conflict)
        #expect(try code(.unchangedSpan(span, since: Timestamp(rawValue: 30))) == nil)
        #expect(try code(.unchangedSpan(KeySpan(lower: key(3), upper: nil), since: .zero)) == nil)
    }

    @Test func aCommitThatHappenedIsFoundBeforeItsConditionsAreAsked() throws {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .commit([.absent(key(1))], lookUp: known))
        guard case .alreadyApplied(let applied) = evaluation.run(with: try reader()).outcome else {
            Issue.record("it is not found")
            return
        }
        #expect(applied == AppliedRequest(timestamp: Timestamp(rawValue: 10), index: LogIndex(1)))
    }

    @Test func aReadSeesTheRowsAtItsTimestamp() throws {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .read(
                [.get(key(1)), .get(key(9)), .scan(KeySpan(lower: key(0), upper: nil), limit: 10, byteLimit: 100)],
                at: Timestamp(rawValue: 15), []))
        guard case .rows(let rows) = evaluation.run(with: try reader()).outcome else {
            Issue.record("no rows")
            return
        }
        #expect(rows.map { $0.map(\.version.value) } == [[[1]], [], [[1], [2]]])
    }
}
