import MeridianCore
import Testing

@testable import MeridianStorage

/// What every `StateStore` does with the transactions that are not over: they are a part of a range's applied state.
@Suite("A state store's transactions") struct TransactionConformance {
    private let a = RangeID(1)
    private let span = KeySpan("k", "l")

    private func table(_ seed: UInt64) -> TransactionTable {
        var random = SplitMix64(seed: seed)
        while true {
            let table = random.transactionTable()
            if !table.prepared.isEmpty, !table.decided.isEmpty { return table }
        }
    }

    private func state(_ index: UInt64, _ table: TransactionTable) -> AppliedState {
        var state = AppliedState(index, closed: Int64(index))
        state.transactions = table
        return state
    }

    private func apply(_ store: any StateStore, _ index: UInt64, _ table: TransactionTable) throws {
        try store.apply([ApplyBatch(range: a, commands: [], state: state(index, table))])
    }

    @Test(arguments: Adapter.allCases) func areSeenAtOnce(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, table(1))
        #expect(try world.state.load()[a] == state(1, table(1)))
    }

    @Test(arguments: Adapter.allCases) func surviveARestart(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, table(1))
        try world.restart(crash: false)
        #expect(try world.state.load()[a] == state(1, table(1)))
    }

    /// Whatever is found after a crash, the table is the one of its position: the log replays the rest on top of it.
    @Test(arguments: Adapter.allCases) func surviveACrashAfterACheckpoint(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, table(1))
        try apply(world.state, 2, table(2))
        _ = try world.state.checkpoint()
        try apply(world.state, 3, table(3))
        try world.restart(crash: true)
        let found = try #require(try world.state.load()[a])
        #expect(found.position.index >= LogIndex(2))
        #expect(found == state(found.position.index.rawValue, table(found.position.index.rawValue)))
    }

    @Test(arguments: Adapter.allCases) func areGoneWhenTheyAreOver(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, table(1))
        _ = try world.state.checkpoint()
        try apply(world.state, 2, TransactionTable())
        _ = try world.state.checkpoint()
        try world.restart(crash: true)
        #expect(try world.state.load()[a] == state(2, TransactionTable()))
    }

    @Test(arguments: Adapter.allCases) func areNotSetBackByWhatWasAppliedBefore(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 5, table(5))
        try apply(world.state, 4, table(4))
        try apply(world.state, 5, table(4))
        #expect(try world.state.load()[a]?.transactions == table(5))
    }

    @Test(arguments: Adapter.allCases, Adapter.allCases)
    func areCarriedByASnapshot(_ sender: Adapter, _ receiver: Adapter) throws {
        let source = try StoreWorld(sender)
        try apply(source.state, 7, table(7))
        let reader = try source.state.openSnapshot(of: a, span: span)
        try apply(source.state, 8, table(8))
        #expect(reader.state == state(7, table(7)), "as of when it was opened")
        let target = try StoreWorld(receiver)
        try apply(target.state, 1, table(1))
        let writer = try target.state.receiveSnapshot(of: a, span: span, state: reader.state)
        var offset = 0
        while let chunk = try reader.chunk(at: offset, byteLimit: 100) {
            try writer.append(chunk)
            offset += 1
        }
        #expect(try target.state.load()[a]?.transactions == table(1), "not before it is whole")
        #expect(try writer.commit() == .installed)
        for crash in [false, true] {
            #expect(try target.state.load()[a] == state(7, table(7)))
            try target.restart(crash: crash)
        }
        reader.close()
    }

    @Test(arguments: Adapter.allCases) func areRemovedWithTheReplica(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 9, table(9))
        try world.state.remove(a, span: span)
        try world.state.apply([ApplyBatch(range: a, commands: [], state: AppliedState(1))])
        #expect(try world.state.load()[a]?.transactions == TransactionTable())
    }

    /// A commit in the anchor leaves two names at one index: the request's and the attempt's.
    @Test(arguments: Adapter.allCases) func areRememberedByRequestAndByAttempt(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        let id = TransactionID(request: RequestID(high: 1, low: 2), attempt: 3)
        let preparation = CommitStep.Preparation(
            participants: [Participant(a), Participant(RangeID(2))], candidate: Timestamp(5), readsElsewhere: false,
            priority: TransactionPriority(begun: .zero, request: id.request))
        var table = TransactionTable()
        let steps: [(CommitStep.Kind, [Mutation])] = [
            (.prepare(preparation), [Mutation(key: Key("k1"), value: [7])]), (.commit, []),
        ]
        for (offset, step) in steps.enumerated() {
            let index = UInt64(offset + 1)
            let command = Command(
                request: id.request, timestamp: Timestamp(5), closed: .zero, mutations: step.1,
                step: CommitStep(attempt: id.attempt, kind: step.0))
            let effects = table.apply(command).map { IndexedCommand(index: LogIndex(index), command: $0) }
            try world.state.apply([ApplyBatch(range: a, commands: effects, state: state(index, table))])
        }
        let outcome = AppliedRequest(timestamp: Timestamp(5), index: LogIndex(2))
        for _ in 0..<2 {
            let reader = try world.state.makeReader()
            #expect(try reader.outcome(of: id.request, in: a) == outcome)
            #expect(try reader.outcome(of: id.commitment, in: a) == outcome)
            #expect(try reader.outcome(of: id.abortion, in: a) == nil)
            #expect(try reader.read(Key("k1"), at: .distantFuture)?.value == [7])
            _ = try world.state.checkpoint()
            try world.restart(crash: true)
            #expect(try world.state.load()[a]?.transactions.decided.keys.first == id)
        }
    }
}
