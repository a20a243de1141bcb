import MeridianCore
import MeridianStorage
import MeridianTransactions
import Testing

@testable import MeridianReplica

@Suite struct EvaluationTests {
    private let range = RangeID(2)
    private let known = RequestID(high: 1, low: 1)
    private func key(_ number: UInt8) -> Key { Key([number]) }

    /// Key 1 was written at 10 and 20, key 2 written at 11 and deleted at 30.
    private func reader(threshold: Int64 = 0) throws -> any StateReader {
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
            closed: Timestamp(rawValue: 30), threshold: Timestamp(rawValue: threshold))
        let commands = [
            command(1, 10, 1, [1]), command(2, 11, 2, [2]), command(3, 20, 1, [3]), command(4, 30, 2, nil),
        ]
        try store.apply([ApplyBatch(range: range, commands: commands, state: state)])
        _ = try store.collectGarbage(of: range, in: KeySpan(lower: Key([]), upper: nil), limit: 100)
        return store.makeReader()
    }

    private func code(_ precondition: Precondition, threshold: Int64 = 0) throws -> MeridianError.Code? {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .commit([precondition], lookUp: nil)
        )
        switch evaluation.run(with: try reader(threshold: threshold)).outcome {
        case .mayCommit: return nil
        case .failed(let error): return error.code
        case .pages, .wasAborted, .alreadyApplied: preconditionFailure("another answer")
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

    /// The row that was read at 20 was deleted at 30, and the deletion collected: nothing is found, which says nothing.
    @Test func aCollectedDeletionDoesNotPassTheCheck() throws {
        let since = Timestamp(rawValue: 20)
        #expect(try code(.unchanged(key(2), since: since), threshold: 31) == .conflict)
        let span = KeySpan(lower: key(2), upper: key(3))
        #expect(try code(.unchangedSpan(span, since: since), threshold: 31) == .conflict)
    }

    /// Below the threshold nobody can vouch for a row that is not there, nor for a span; one that is there says itself
    /// when it was written last.
    @Test func nobodyVouchesForWhatIsOlderThanTheThreshold() throws {
        let (early, late) = (Timestamp(rawValue: 30), Timestamp(rawValue: 31))
        #expect(try code(.unchanged(key(3), since: early), threshold: 31) == .conflict)
        #expect(try code(.unchanged(key(3), since: late), threshold: 31) == nil)
        #expect(try code(.unchanged(key(1), since: Timestamp(rawValue: 20)), threshold: 31) == nil)
        let span = KeySpan(lower: key(1), upper: key(2))
        #expect(try code(.unchangedSpan(span, since: early), threshold: 31) == .conflict)
        #expect(try code(.unchangedSpan(span, since: late), threshold: 31) == nil)
    }

    /// Also what is asked of a range that is only read, and of one that prepares.
    @Test(arguments: [true, false]) func questionsBelowTheThresholdAreConflicts(_ isPrepare: Bool) throws {
        let conditions = [Precondition.unchanged(key(2), since: Timestamp(rawValue: 20))]
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: isPrepare
                ? .prepare(conditions, TransactionID(request: RequestID(high: 9, low: 9), attempt: 1))
                : .read([], at: Timestamp(rawValue: 40), conditions))
        guard case .failed(let error) = evaluation.run(with: try reader(threshold: 31)).outcome else {
            Issue.record("it passes")
            return
        }
        #expect(error.code == .conflict)
    }

    @Test func aReadBelowTheThresholdIsRefused() throws {
        let all = KeySpan(lower: Key([]), upper: nil)
        let operations: [ReadOperation] = [
            .get(key(1)), .scan(all, limit: 9, byteLimit: 99), .changes(all, since: .zero, limit: 9, byteLimit: 99),
            .digests(all, prefix: 0), .bucketRows(all, prefix: 0, buckets: [1], limit: 9, byteLimit: 99),
        ]
        for operation in operations {
            for (time, isServed) in [(Int64(30), false), (31, true)] {
                let evaluation = Evaluation(
                    range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
                    body: .read([operation], at: Timestamp(rawValue: time), []))
                switch evaluation.run(with: try reader(threshold: 31)).outcome {
                case .pages: #expect(isServed, "\(operation)")
                case .failed(let error): #expect(error.code == .readTooOld && !isServed, "\(operation)")
                default: Issue.record("another answer")
                }
            }
        }
    }

    @Test func aCommitThatHappenedIsFoundBeforeItsConditionsAreAsked() throws {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .commit([.absent(key(1))], lookUp: TransactionID(request: known, attempt: 1)))
        guard case .alreadyApplied(let applied) = evaluation.run(with: try reader()).outcome else {
            Issue.record("it is not found")
            return
        }
        #expect(applied == AppliedRequest(timestamp: Timestamp(rawValue: 10), index: LogIndex(1)))
    }

    /// Its client was told that it failed, so no copy that comes late may do it.
    @Test func anAttemptThatWasForbiddenIsNotTakenUp() throws {
        let attempt = TransactionID(request: RequestID(high: 8, low: 8), attempt: 3)
        let store = MemoryStateStore()
        let abort = Command(
            request: attempt.abortion, timestamp: Timestamp(rawValue: 10), closed: .zero, mutations: [])
        try store.apply([
            ApplyBatch(
                range: range, commands: [IndexedCommand(index: LogIndex(1), command: abort)],
                state: AppliedState(
                    position: LogPosition(term: Term(1), index: LogIndex(1)), membership: Membership(members: []),
                    closed: .zero))
        ])
        func outcome(_ attempt: TransactionID) -> EvaluationResult.Outcome {
            Evaluation(
                range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
                body: .commit([], lookUp: attempt)
            ).run(with: store.makeReader()).outcome
        }
        guard case .failed(let error) = outcome(attempt) else {
            Issue.record("it is taken up")
            return
        }
        #expect(error.code == .conflict)
        guard case .mayCommit = outcome(TransactionID(request: attempt.request, attempt: 4)) else {
            Issue.record("the next attempt is not taken up")
            return
        }
    }

    /// What the client has read is no longer so: of the key it hears nothing that it could have found then.
    @Test func thatSomethingWasWrittenSinceComesBeforeWhatAKeyHolds() throws {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .commit([.absent(key(1)), .unchanged(key(2), since: .zero)], lookUp: nil))
        guard case .failed(let error) = evaluation.run(with: try reader()).outcome else {
            Issue.record("it may commit")
            return
        }
        #expect(error.code == .conflict)
    }

    @Test func aReadSeesTheRowsAtItsTimestamp() throws {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .read(
                [.get(key(1)), .get(key(9)), .scan(KeySpan(lower: key(0), upper: nil), limit: 10, byteLimit: 100)],
                at: Timestamp(rawValue: 15), []))
        guard case .pages(let pages) = evaluation.run(with: try reader()).outcome else {
            Issue.record("no rows")
            return
        }
        #expect(pages.map { $0.rows.map(\.version.value) } == [[[1]], [], [[1], [2]]])
        #expect(pages.allSatisfy { $0.resume == nil })
    }

    /// Whatever is asked for, a node reads no more at once than it may, and says where to go on.
    @Test func aNodesLimitsEndAPageAndTheRestFollows() throws {
        var operation: ReadOperation? = .scan(KeySpan(lower: key(0), upper: nil), limit: .max, byteLimit: .max)
        var found: [[[UInt8]?]] = []
        while let asked = operation {
            var evaluation = Evaluation(
                range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
                body: .read([asked], at: Timestamp(rawValue: 15), []))
            evaluation.pageLimits = PageLimits(rows: 1, bytes: .max)
            guard case .pages(let pages) = evaluation.run(with: try reader()).outcome else {
                Issue.record("no rows")
                return
            }
            found.append(pages[0].rows.map(\.version.value))
            operation = asked.rest(after: pages[0])
        }
        #expect(found == [[[1]], [[2]], []])
    }
}
