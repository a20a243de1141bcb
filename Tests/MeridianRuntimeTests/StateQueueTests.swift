import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianStorage
import Testing

@testable import MeridianReplica
@testable import MeridianRuntime

/// What may be applied beside the state queue's work, and what that does with the store.
@Suite struct StateQueueTests {
    private static let range = RangeID(10)
    private static let other = RangeID(11)
    private let store = MemoryStateStore()
    private let queue: StateQueue

    init() {
        queue = StateQueue(StateWorker(store, chunkBytes: 1 << 16) { _ in })
    }

    private static func span(_ range: RangeID) -> KeySpan { KeySpan(prefix: [UInt8(range.rawValue)]) }
    private static func key(_ range: RangeID, _ number: Int) -> Key { Key([UInt8(range.rawValue), UInt8(number)]) }

    private static func batch(_ numbers: ClosedRange<Int>, of range: RangeID = range) -> ApplyBatch {
        let commands = numbers.map { number in
            IndexedCommand(
                index: LogIndex(UInt64(number)),
                command: Command(
                    request: RequestID(high: 9, low: UInt64(number)), timestamp: Timestamp(rawValue: Int64(number)),
                    closed: .zero, mutations: [Mutation(key: key(range, number), value: [UInt8(number)])]))
        }
        return ApplyBatch(range: range, commands: commands, state: state(numbers.upperBound))
    }

    private static func state(_ index: Int) -> AppliedState {
        AppliedState(
            position: LogPosition(term: Term(1), index: LogIndex(UInt64(index))), membership: Membership(members: []),
            closed: .zero)
    }

    /// The only chunk of a snapshot that ends at an index.
    private static func snapshot(_ index: Int, stream: UInt64 = 1) throws -> SnapshotWrite {
        let source = MemoryStateStore()
        try source.apply([batch(1...index)])
        let chunk = try #require(try source.openSnapshot(of: range, span: span(range)).chunk(at: 0, byteLimit: 1 << 20))
        #expect(chunk.isLast)
        return SnapshotWrite(
            span: span(range), from: NodeID(2),
            message: SnapshotChunkMessage(
                stream: SnapshotStreamID(range: range, term: Term(1), number: stream), state: state(index), chunk: chunk
            ))
    }

    private func take(applies: [ApplyBatch] = [], writes: [SnapshotWrite] = []) -> [RangeID] {
        var effects = NodeEffects()
        effects.applies = applies
        effects.snapshotWrites = writes
        return queue.take(effects).applied.map(\.range)
    }

    /// Does all that is queued.
    private func work() -> [NodeEvent] {
        var events: [NodeEvent] = []
        while let work = queue.begin() {
            let outcome = queue.perform(work)
            queue.end(work, outcome)
            events += outcome.events
        }
        return events
    }

    private func present() throws -> [Int] {
        try (1...9).filter { try store.makeReader().read(Self.key(Self.range, $0), at: .distantFuture) != nil }
    }

    private func installed(_ events: [NodeEvent]) -> [LogIndex] {
        events.compactMap {
            guard case .snapshotWritten(let result) = $0, case .installed(let index) = result.progress else {
                return nil
            }
            return index
        }
    }

    @Test func rowsAreAppliedAtOnceWhereNothingWaits() throws {
        #expect(take(applies: [Self.batch(1...3)]) == [Self.range])
        #expect(try present() == [1, 2, 3])
        #expect(queue.begin() == nil)
    }

    /// Entries that are committed while a snapshot waits for a slow checkpoint.
    @Test func entriesDoNotPassASnapshotOfTheirRange() throws {
        #expect(queue.append(.checkpoint(nil)))
        let checkpoint = try #require(queue.begin())
        #expect(take(writes: [try Self.snapshot(3)]).isEmpty)
        #expect(take(applies: [Self.batch(1...5), Self.batch(1...2, of: Self.other)]) == [Self.other])
        #expect(take(applies: [Self.batch(6...7)]).isEmpty)
        queue.end(checkpoint, queue.perform(checkpoint))
        #expect(installed(work()) == [LogIndex(3)])
        #expect(try present() == [1, 2, 3, 4, 5, 6, 7])
        #expect(store.load()[Self.range]?.position.index == LogIndex(7))
        #expect(queue.isApplied)
        #expect(take(applies: [Self.batch(8...8)]) == [Self.range], "and then at once again")
    }

    @Test func aLastChunkThatComesTwiceIsInstalledOnce() throws {
        let write = try Self.snapshot(3)
        _ = take(writes: [write])
        _ = work()
        #expect(take(applies: [Self.batch(4...5)]) == [Self.range])
        _ = take(writes: [write, try Self.snapshot(2, stream: 2)])
        #expect(installed(work()) == [LogIndex(5), LogIndex(5)])
        #expect(try present() == [1, 2, 3, 4, 5])
    }

    @Test func nothingIsAppliedWhileTheWorkHasTheStore() throws {
        #expect(queue.append(.collect(RangeDirectory())))
        #expect(!queue.append(.collect(RangeDirectory())), "one is enough")
        let collection = try #require(queue.begin())
        #expect(queue.begin() == nil, "one at a time")
        #expect(take(applies: [Self.batch(1...1)]).isEmpty)
        #expect(try present().isEmpty)
        queue.end(collection, queue.perform(collection))
        _ = work()
        #expect(try present() == [1])
    }

    @Test func aReplicaGoesInItsTurn() throws {
        _ = take(applies: [Self.batch(1...3)])
        #expect(take(applies: [ApplyBatch(clearing: Self.span(Self.range), of: Self.range)]).isEmpty)
        #expect(take(applies: [Self.batch(1...1)]).isEmpty, "a new replica's rows come behind")
        _ = work()
        #expect(try present() == [1])
    }

    /// What waits when the node stops is told so.
    @Test func whatIsAbandonedIsToldSo() async throws {
        let durable = await withUnsafeContinuation { continuation in
            #expect(queue.append(.checkpoint { continuation.resume(returning: $0) }))
            queue.close()
            #expect(!queue.append(.scrub { _ in }))
            queue.abandon()
        }
        #expect(durable.isEmpty)
    }
}

/// Group commit, and disks that fail.
@Suite struct LogQueueTests {
    private final class Disk: LogStore, @unchecked Sendable {
        var failure: MeridianError?
        var writes: [Int] = []
        func load() -> [RangeID: StoredLog] { [:] }
        func write(_ writes: [LogWrite]) throws {
            if let failure { throw failure }
            self.writes.append(writes.count)
        }
        var pendingCheckpointByteCount: Int { 0 }
        func checkpoint() {}
        func scrub(_ forgotten: [RangeID: LogIndex]) -> Bool { true }
        func close() {}
    }

    private static func job(_ range: UInt64) -> LogJob {
        var write = LogWrite(range: RangeID(range))
        write.hardState = HardState(term: Term(1))
        var job = LogJob()
        job.writes = [write]
        return job
    }

    @Test func whatGathersDuringAWriteGoesIntoTheNext() {
        let disk = Disk()
        let queue = LogQueue(disk)
        #expect(queue.append(Self.job(1)))
        #expect(queue.begin())
        #expect(!queue.append(Self.job(2)))
        #expect(!queue.append(Self.job(3)))
        #expect(!queue.begin(), "one write at a time")
        _ = queue.perform()
        #expect(queue.begin())
        _ = queue.perform()
        #expect(!queue.begin())
        #expect(disk.writes == [1, 2])
    }

    /// A full disk is told once, tried again, and told of again when it dies.
    @Test func aFullDiskThatThenDiesIsReported() {
        let disk = Disk()
        let queue = LogQueue(disk)
        _ = queue.append(Self.job(1))
        #expect(queue.begin())
        func reported() -> [MeridianError.Code?] {
            queue.perform().events.map {
                guard case .logFailed(let error) = $0 else { return nil }
                return error.code
            }
        }
        disk.failure = MeridianError(.diskFull, "no space")
        #expect(reported() == [.diskFull])
        #expect(reported().isEmpty)
        #expect(queue.batch.count == 1, "nothing is lost")
        disk.failure = MeridianError(.storageFailed, "fsync")
        #expect(reported() == [.storageFailed])
        disk.failure = nil
        _ = queue.append(Self.job(2))
        #expect(queue.isDead && !queue.begin() && disk.writes.isEmpty)
    }
}
