import MeridianCore
import Testing

/// What each step in the log does to the table, to the rows and to the memory of requests.
@Suite struct TransactionTableTests {
    private let id = TransactionID(request: RequestID(high: 1, low: 2), attempt: 3)
    private let mutations = [Mutation(key: Key([1]), value: [7]), Mutation(key: Key([2]), value: nil)]

    private func preparation() -> CommitStep.Preparation {
        CommitStep.Preparation(
            participants: participants, candidate: Timestamp(nanoseconds: 10),
            readsElsewhere: false, priority: TransactionPriority(begun: .zero, request: id.request),
            keys: [Key([9])])
    }

    private func command(
        _ kind: CommitStep.Kind, of id: TransactionID? = nil, at nanoseconds: Int64, mutations: [Mutation] = []
    ) -> Command {
        let id = id ?? self.id
        return Command(
            request: id.request, timestamp: Timestamp(nanoseconds: nanoseconds), closed: .zero, mutations: mutations,
            step: CommitStep(attempt: id.attempt, kind: kind))
    }

    /// A table that has followed a prepare at 10.
    private func prepared() -> TransactionTable {
        var table = TransactionTable()
        _ = table.apply(command(.prepare(preparation()), at: 10, mutations: mutations))
        return table
    }

    private let participants = [Participant(RangeID(1)), Participant(RangeID(2), in: Generation(3))]

    @Test func aCommandWithoutAStepPassesThrough() {
        var table = TransactionTable()
        let command = Command(
            request: id.request, timestamp: Timestamp(nanoseconds: 5), closed: .zero, mutations: mutations)
        #expect(table.apply(command) == [command])
        #expect(table.isEmpty)
        #expect(table.highest == Timestamp(nanoseconds: 5))
    }

    @Test func aPrepareIsHeldAndChangesNothing() {
        var table = TransactionTable()
        let effects = table.apply(command(.prepare(preparation()), at: 10, mutations: mutations))
        #expect(effects.isEmpty)
        #expect(
            table.prepared[id]
                == PreparedTransaction(
                    id: id, timestamp: Timestamp(nanoseconds: 10), mutations: mutations, preparation: preparation()))
        #expect(!table.isEmpty)
    }

    /// It may yet be aborted, and what is prepared holds the closed timestamp back anyway.
    @Test func aPrepareDoesNotRaiseTheHighestTimestamp() {
        #expect(prepared().highest == .zero)
    }

    @Test func aCommitAppliesWhatWasPreparedAtItsOwnTimestamp() {
        var table = prepared()
        let effects = table.apply(command(.commit, at: 15))
        #expect(effects.first?.mutations == mutations)
        #expect(effects.first?.timestamp == Timestamp(nanoseconds: 15))
        #expect(effects.first?.request == id.request, "the request is remembered, whichever attempt it was")
        #expect(table.prepared.isEmpty)
        #expect(table.highest == Timestamp(nanoseconds: 15))
    }

    /// Whoever is given up meanwhile, another one can tell.
    @Test func everyRangeKeepsThatItHasCommitted() {
        var table = prepared()
        _ = table.apply(command(.commit, at: 15))
        #expect(
            table.decided[id]
                == DecidedTransaction(id: id, timestamp: Timestamp(nanoseconds: 15), participants: participants))
        #expect(!table.isEmpty)
    }

    @Test func theAttemptThatCommittedIsRemembered() {
        var table = prepared()
        let effects = table.apply(command(.commit, at: 15))
        #expect(effects.map(\.request) == [id.request, id.commitment])
        #expect(effects.map(\.mutations) == [mutations, []], "the rows are written once")
        #expect(effects.map(\.timestamp) == [Timestamp(nanoseconds: 15), Timestamp(nanoseconds: 15)])
    }

    @Test func aPromiseOnlyRises() {
        var table = prepared()
        #expect(table.prepared[id]?.promised == Ballot(position: 0, generation: .first))
        let ballot = Ballot(position: 1, generation: Generation(2))
        #expect(table.apply(command(.promise(ballot), at: 11)).isEmpty)
        _ = table.apply(command(.promise(Ballot(position: 0, generation: Generation(4))), at: 12))
        #expect(table.prepared[id]?.promised == ballot)
        #expect(table.highest == .zero)
    }

    /// In a history that has lost what it had prepared.
    @Test func anAdoptedCommitIsKnownWithoutRows() {
        var table = TransactionTable()
        let effects = table.apply(command(.adopt(participants), at: 15))
        #expect(effects.map(\.request) == [id.request, id.commitment])
        #expect(effects.allSatisfy { $0.mutations.isEmpty })
        #expect(table.decided[id]?.participants == participants)
        #expect(table.apply(command(.adopt(participants), at: 16)).isEmpty, "the second time")
    }

    @Test func whatIsUndoneIsKeptUntilItIsReported() {
        var table = prepared()
        let cause = UndoneTransaction.Cause(
            participants: participants, candidate: Timestamp(nanoseconds: 10), mayBeAcknowledged: true)
        #expect(table.apply(command(.undo(cause), at: 20)).map(\.request) == [id.abortion])
        #expect(table.prepared.isEmpty)
        #expect(table.undone[id]?.cause == cause)
        #expect(table.apply(command(.adopt(participants), at: 21)).isEmpty, "it is decided")
        _ = table.apply(command(.forget([id]), at: 30))
        #expect(table.isEmpty)
    }

    @Test func aCommitOfWhatIsNotPreparedDoesNothing() {
        var table = prepared()
        _ = table.apply(command(.commit, at: 15))
        let before = table
        #expect(table.apply(command(.commit, at: 20)).isEmpty, "the second time")
        #expect(table == before)
    }

    @Test func anAbortVoidsWhatWasPreparedAndIsRemembered() {
        var table = prepared()
        let effects = table.apply(command(.abort, at: 20))
        #expect(effects.map(\.request) == [id.abortion])
        #expect(effects.map(\.mutations) == [[]])
        #expect(table.isEmpty)
        #expect(table.highest == Timestamp(nanoseconds: 20))
    }

    @Test func anAbortOfWhatIsNotPreparedIsRememberedToo() {
        var table = TransactionTable()
        #expect(table.apply(command(.abort, at: 20)).map(\.request) == [id.abortion])
    }

    @Test func anAbortLeavesADecisionAlone() {
        var table = prepared()
        _ = table.apply(command(.commit, at: 15))
        _ = table.apply(command(.abort, at: 20))
        #expect(table.decided[id]?.timestamp == Timestamp(nanoseconds: 15))
    }

    @Test func anAbortConcernsItsAttemptAlone() {
        var table = prepared()
        let next = TransactionID(request: id.request, attempt: 4)
        _ = table.apply(command(.prepare(preparation()), of: next, at: 11, mutations: mutations))
        _ = table.apply(command(.abort, at: 20))
        #expect(Array(table.prepared.keys) == [next])
    }

    @Test func whatIsForgottenIsGoneAndChangesNothing() {
        var table = prepared()
        _ = table.apply(command(.commit, at: 15))
        #expect(table.apply(command(.forget([id]), at: 30)).isEmpty)
        #expect(table.isEmpty)
        #expect(table.highest == Timestamp(nanoseconds: 15))
    }

    @Test func theHighestTimestampNeverFalls() {
        var table = prepared()
        _ = table.apply(command(.abort, of: TransactionID(request: id.request, attempt: 9), at: 40))
        _ = table.apply(command(.commit, at: 15))
        #expect(table.highest == Timestamp(nanoseconds: 40))
    }

    @Test func aTableIsTheSameFromItsParts() {
        var table = prepared()
        _ = table.apply(command(.commit, at: 15))
        let next = TransactionID(request: id.request, attempt: 4)
        _ = table.apply(command(.prepare(preparation()), of: next, at: 21, mutations: mutations))
        let cause = UndoneTransaction.Cause(
            participants: participants, candidate: Timestamp(nanoseconds: 10), mayBeAcknowledged: false)
        _ = table.apply(command(.undo(cause), of: TransactionID(request: id.request, attempt: 5), at: 22))
        let copy = TransactionTable(
            prepared: Array(table.prepared.values), decided: Array(table.decided.values),
            undone: Array(table.undone.values), highest: table.highest)
        #expect(copy == table)
    }

    /// They lie in one memory with the names that clients draw.
    @Test func theNamesOfAnAttemptsEndsAreItsOwn() {
        var random = SplitMix64(seed: 1)
        var names: Set<RequestID> = []
        for _ in 0..<100 {
            let request = RequestID(high: random.next(), low: random.next())
            names.insert(request)
            for attempt in [UInt64(0), 1, random.next()] {
                let id = TransactionID(request: request, attempt: attempt)
                names.formUnion([id.abortion, id.commitment])
            }
        }
        #expect(names.count == 100 * 7)
    }
}
