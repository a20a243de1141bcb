import GRDB
import MeridianCore
import Synchronization
import Testing

@testable import MeridianStorage

/// What every `StateStore` does: applying, reading, remembering, and what survives.
@Suite("A state store") struct StateStoreConformance {
    private let a = RangeID(1)

    /// Applies one command with these rows at the next index.
    private func apply(
        _ store: any StateStore, _ index: UInt64, at timestamp: Int64, _ rows: [(String, String?)],
        range: RangeID = RangeID(1), closed: Int64? = nil
    ) throws {
        let command = Command(
            request: RequestID(high: range.rawValue, low: index), timestamp: Timestamp(timestamp),
            closed: Timestamp(closed ?? timestamp - 1),
            mutations: rows.map { Mutation(key: Key($0.0), value: $0.1.map { bytes($0) }) })
        try store.apply([
            ApplyBatch(
                range: range, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                state: AppliedState(index, closed: closed ?? timestamp - 1))
        ])
    }

    private func rows(_ versions: [KeyedVersion]) -> [String] {
        versions.map {
            "\(String(decoding: $0.key.bytes, as: UTF8.self))=\(String(decoding: $0.version.value!, as: UTF8.self))"
        }
    }

    @Test(arguments: Adapter.allCases) func isEmptyAtFirst(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        #expect(try world.state.load().isEmpty)
        let reader = try world.state.makeReader()
        #expect(try reader.read(Key("a"), at: .distantFuture) == nil)
        #expect(try reader.latestTimestamp(in: .all) == nil)
        #expect(try reader.scan(.all, at: .distantFuture, limit: 1, byteLimit: 1) == Page())
    }

    @Test(arguments: Adapter.allCases) func readsTheNewestVersionAtOrBelow(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1"), ("empty", "")])
        try apply(world.state, 2, at: 20, [("a", "2")])
        try apply(world.state, 3, at: 30, [("a", nil)])
        let reader = try world.state.makeReader()
        #expect(try reader.read(Key("a"), at: Timestamp(9)) == nil)
        #expect(try reader.read(Key("a"), at: Timestamp(10)) == Version(timestamp: Timestamp(10), value: bytes("1")))
        #expect(try reader.read(Key("a"), at: Timestamp(29)) == Version(timestamp: Timestamp(20), value: bytes("2")))
        #expect(try reader.read(Key("a"), at: .distantFuture) == Version(timestamp: Timestamp(30), value: nil))
        #expect(try reader.read(Key("b"), at: .distantFuture) == nil)
        #expect(try reader.read(Key("empty"), at: .distantFuture)?.value == [])
        #expect(try reader.read(Key(""), at: .distantFuture) == nil)
    }

    @Test(arguments: Adapter.allCases) func theLastMutationOfAKeyInACommandCounts(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1"), ("a", "2")])
        let reader = try world.state.makeReader()
        #expect(try reader.read(Key("a"), at: Timestamp(10))?.value == bytes("2"))
    }

    @Test(arguments: Adapter.allCases) func anOpenReaderSeesWhatIsAppliedLater(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        let reader = try world.state.makeReader()
        try apply(world.state, 1, at: 10, [("a", "1")])
        #expect(try reader.read(Key("a"), at: .distantFuture)?.value == bytes("1"))
        _ = try world.state.checkpoint()
        try apply(world.state, 2, at: 20, [("a", "2")])
        #expect(try reader.read(Key("a"), at: .distantFuture)?.value == bytes("2"))
    }

    @Test(arguments: Adapter.allCases) func scansInOrderWithoutDeletions(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("b", "1"), ("a", "1"), ("", "0"), ("c", "1"), ("a\0", "z")])
        try apply(world.state, 2, at: 20, [("b", nil), ("c", "2"), ("d", "2")])
        let reader = try world.state.makeReader()
        func scan(_ span: KeySpan, _ timestamp: Int64, limit: Int = 100, byteLimit: Int = 1000) throws -> [String] {
            rows(try reader.scan(span, at: Timestamp(timestamp), limit: limit, byteLimit: byteLimit).rows)
        }
        #expect(try scan(.all, 20) == ["=0", "a=1", "a\0=z", "c=2", "d=2"])
        #expect(try scan(.all, 19) == ["=0", "a=1", "a\0=z", "b=1", "c=1"])
        #expect(try scan(.all, 9) == [])
        #expect(try scan(KeySpan("a", "c"), 10) == ["a=1", "a\0=z", "b=1"])
        #expect(try scan(KeySpan("a", "c"), 20) == ["a=1", "a\0=z"])
        #expect(try scan(KeySpan("b", "b"), 20) == [])
        #expect(try scan(.all, 20, limit: 2) == ["=0", "a=1"])
        #expect(try scan(KeySpan("b", nil), 20, limit: 1) == ["c=2"])
    }

    /// Whether the versions are in memory, in the file, or some here and some there.
    @Test(arguments: Adapter.allCases, [0, 1, 2, 3])
    func manyKeysAndChangedRowsAreReadAtOnce(_ adapter: Adapter, checkpointAfter: UInt64) throws {
        let world = try StoreWorld(adapter)
        let steps: [(Int64, [(String, String?)])] = [
            (10, [("a", "1"), ("b", "1"), ("c", "1")]), (20, [("b", "2"), ("d", "2")]), (30, [("c", nil), ("b", "3")]),
        ]
        for (position, step) in steps.enumerated() {
            try apply(world.state, UInt64(position) + 1, at: step.0, step.1)
            if UInt64(position) + 1 == checkpointAfter { _ = try world.state.checkpoint() }
        }
        let reader = try world.state.makeReader()
        let keys = ["c", "x", "b", "a", "b"].map { Key($0) }
        for time in [5, 10, 25, 30].map({ Timestamp(Int64($0)) }) {
            #expect(try reader.read(keys, at: time) == keys.map { try reader.read($0, at: time) })
        }
        #expect(try reader.read([], at: .distantFuture).isEmpty)

        func changed(_ span: KeySpan, since: Int64) throws -> [String] {
            try reader.newest(in: span, since: Timestamp(since), limit: 9, byteLimit: 99).rows.map { row in
                let value = row.version.value.map { String(decoding: $0, as: UTF8.self) } ?? "-"
                return "\(String(decoding: row.key.bytes, as: UTF8.self))=\(value)"
            }
        }
        #expect(try changed(.all, since: 0) == ["a=1", "b=3", "c=-", "d=2"])
        #expect(try changed(.all, since: 10) == ["b=3", "c=-", "d=2"])
        #expect(try changed(.all, since: 20) == ["b=3", "c=-"])
        #expect(try changed(KeySpan("c", nil), since: 10) == ["c=-", "d=2"])
        #expect(try changed(.all, since: 30) == [])
    }

    @Test(arguments: Adapter.allCases) func aScanStopsBeforeItExceedsItsBytes(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "xxxx"), ("b", "xxxx"), ("c", "x"), ("d", "x")])
        let reader = try world.state.makeReader()
        func count(_ byteLimit: Int) throws -> Int {
            try reader.scan(.all, at: .distantFuture, limit: 100, byteLimit: byteLimit).rows.count
        }
        #expect(try count(0) == 1)
        #expect(try count(7) == 1)
        #expect(try count(8) == 2)
        #expect(try count(9) == 3)
        #expect(try count(10) == 4)
    }

    @Test(arguments: Adapter.allCases) func scansOverLongChains(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 1, [("a", "1"), ("c", "1")])
        for index in 2...60 { try apply(world.state, UInt64(index), at: Int64(index), [("b", "\(index)")]) }
        let reader = try world.state.makeReader()
        for timestamp in 2...60 {
            let found = try reader.scan(.all, at: Timestamp(Int64(timestamp)), limit: 10, byteLimit: 1000).rows
            #expect(rows(found) == ["a=1", "b=\(timestamp)", "c=1"])
        }
        #expect(rows(try reader.scan(.all, at: Timestamp(1), limit: 10, byteLimit: 99).rows) == ["a=1", "c=1"])
        #expect(try reader.latestTimestamp(in: .all) == Timestamp(60))
    }

    @Test(arguments: Adapter.allCases) func latestTimestampCountsDeletionsInTheSpan(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1"), ("b", "1")])
        try apply(world.state, 2, at: 20, [("b", nil)])
        try apply(world.state, 3, at: 30, [("c", "1")])
        let reader = try world.state.makeReader()
        #expect(try reader.latestTimestamp(in: KeySpan("a", "b")) == Timestamp(10))
        #expect(try reader.latestTimestamp(in: KeySpan("a", "c")) == Timestamp(20))
        #expect(try reader.latestTimestamp(in: KeySpan(lower: Key("b"), upper: Key("b").successor)) == Timestamp(20))
        #expect(try reader.latestTimestamp(in: KeySpan(lower: Key("bb"), upper: Key("bb").successor)) == nil)
        #expect(try reader.latestTimestamp(in: .all) == Timestamp(30))
        #expect(try reader.latestTimestamp(in: KeySpan("d", nil)) == nil)
    }

    @Test(arguments: Adapter.allCases) func skipsWhatWasAppliedBefore(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 5, at: 10, [("a", "1")])
        try apply(world.state, 5, at: 20, [("a", "again")])
        try apply(world.state, 4, at: 30, [("a", "older")])
        let replayed = [5, 6].map { index in
            IndexedCommand(
                index: LogIndex(UInt64(index)),
                command: Command(
                    request: RequestID(high: 9, low: UInt64(index)), timestamp: Timestamp(40 + Int64(index)),
                    closed: .zero, mutations: [Mutation(key: Key("k\(index)"), value: [1])]))
        }
        try world.state.apply([ApplyBatch(range: a, commands: replayed, state: AppliedState(6))])
        let reader = try world.state.makeReader()
        #expect(try reader.read(Key("a"), at: .distantFuture)?.value == bytes("1"))
        #expect(try reader.read(Key("k5"), at: .distantFuture) == nil)
        #expect(try reader.read(Key("k6"), at: .distantFuture) != nil)
        #expect(try reader.outcome(of: RequestID(high: 9, low: 5), in: a) == nil)
        #expect(try world.state.load()[a]?.position == LogPosition(6, 1))
    }

    /// Its client has not heard of it before, and asks again. By its timestamp it would be forgotten at the next entry.
    @Test(arguments: Adapter.allCases) func remembersARequestThatWasHeldUpForAsLongAfterwards(
        _ adapter: Adapter
    ) throws {
        let second: Int64 = 1_000_000_000
        let world = try StoreWorld(adapter)
        var state = AppliedState(0)
        func apply(_ index: UInt64, closing closed: Int64) throws {
            let command = Command(
                request: RequestID(high: 1, low: index), timestamp: Timestamp(closed), closed: Timestamp(closed),
                mutations: [])
            state.position = LogPosition(index, 1)
            state.close(Timestamp(closed))
            try world.state.apply([
                ApplyBatch(
                    range: a, commands: [IndexedCommand(index: LogIndex(index), command: command)], state: state)
            ])
        }
        func isKnown() throws -> Bool {
            try world.state.makeReader().outcome(of: RequestID(high: 1, low: 1), in: a) != nil
        }
        try apply(1, closing: 100 * second)
        // Proposed at 100 s, and committed when there was a quorum again.
        try apply(2, closing: 200 * second)
        #expect(try isKnown())
        _ = try world.state.checkpoint()
        try world.restart(crash: true)
        #expect(try world.state.load()[a] == state)
        for time in stride(from: Int64(205), to: 260, by: 5) {
            try apply(UInt64(time), closing: time * second)
            #expect(try isKnown(), "\(time)")
        }
        try apply(300, closing: 261 * second)
        #expect(try !isKnown())
    }

    @Test(arguments: Adapter.allCases) func remembersRequestsUntilTheirRetentionIsOver(_ adapter: Adapter) throws {
        let second: Int64 = 1_000_000_000
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 100 * second, [])
        let first = RequestID(high: 1, low: 1)
        let outcome = AppliedRequest(timestamp: Timestamp(100 * second), index: LogIndex(1))
        for _ in 0..<2 {
            let reader = try world.state.makeReader()
            #expect(try reader.outcome(of: first, in: a) == outcome)
            #expect(try reader.outcome(of: first, in: RangeID(2)) == nil)
            #expect(try reader.outcome(of: RequestID(high: 1, low: 2), in: a) == nil)
            _ = try world.state.checkpoint()
            try world.restart(crash: true)
            _ = try world.state.load()
        }
        try apply(world.state, 2, at: 160 * second, [])
        #expect(try world.state.makeReader().outcome(of: first, in: a) == outcome)
        try apply(world.state, 3, at: 160 * second + 1, [])
        #expect(try world.state.makeReader().outcome(of: first, in: a) == nil)
        #expect(try world.state.makeReader().outcome(of: RequestID(high: 1, low: 2), in: a) != nil)
        _ = try world.state.checkpoint()
        try world.restart(crash: true)
        _ = try world.state.load()
        #expect(try world.state.makeReader().outcome(of: first, in: a) == nil)
        #expect(try world.state.makeReader().outcome(of: RequestID(high: 1, low: 2), in: a) != nil)
    }

    @Test(arguments: Adapter.allCases) func askingAgainReturnsTheFirstOutcome(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        let request = RequestID(high: 7, low: 7)
        for index in UInt64(1)...2 {
            let command = Command(
                request: request, timestamp: Timestamp(Int64(index)), closed: .zero, mutations: [])
            try world.state.apply([
                ApplyBatch(
                    range: a, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                    state: AppliedState(index))
            ])
        }
        let first = AppliedRequest(timestamp: Timestamp(1), index: LogIndex(1))
        #expect(try world.state.makeReader().outcome(of: request, in: a) == first)
        try world.restart(crash: false)
        _ = try world.state.load()
        #expect(try world.state.makeReader().outcome(of: request, in: a) == first)
    }

    @Test(arguments: Adapter.allCases, [false, true])
    func aCheckpointSurvivesACrash(_ adapter: Adapter, withReader: Bool) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1")])
        try apply(world.state, 1, at: 10, [("z", "1")], range: RangeID(2))
        // A picture that is held pins the write-ahead log, and must not keep a checkpoint from being durable.
        let snapshot = withReader ? try world.state.openSnapshot(of: a, span: KeySpan("a", "b")) : nil
        try apply(world.state, 2, at: 20, [("a", "2")])
        let durable = try world.state.checkpoint()
        #expect(durable == [a: LogIndex(2), RangeID(2): LogIndex(1)])
        try apply(world.state, 3, at: 30, [("a", "3")])
        snapshot?.close()
        try world.restart(crash: true)
        let found = try #require(try world.state.load()[a])
        #expect(found.position.index >= LogIndex(2))
        #expect(found.membership == .sample)
        try apply(world.state, 3, at: 30, [("a", "3")])
        let reader = try world.state.makeReader()
        #expect(try reader.read(Key("a"), at: Timestamp(20))?.value == bytes("2"))
        #expect(try reader.read(Key("a"), at: Timestamp(30))?.value == bytes("3"))
        #expect(try world.state.load()[a]?.closed == Timestamp(29))
    }

    @Test(arguments: Adapter.allCases) func countsWhatACheckpointWouldMove(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        _ = try world.state.checkpoint()
        #expect(world.state.pendingCheckpointByteCount == 0)
        try apply(world.state, 1, at: 10, [("a", "1")])
        let once = world.state.pendingCheckpointByteCount
        #expect(once > 0)
        try apply(world.state, 2, at: 20, [("a", "1")])
        #expect(world.state.pendingCheckpointByteCount > once)
        _ = try world.state.checkpoint()
        #expect(world.state.pendingCheckpointByteCount == 0)
        try apply(world.state, 3, at: 30, [("a", "1")])
        #expect(world.state.pendingCheckpointByteCount > 0)
    }

    /// Two rows change together in each commit. However a checkpoint falls, a reader finds them equal, and never older
    /// than it found them before.
    @Test(arguments: Adapter.allCases) func checkpointsRunBesideAppliesAndReaders(_ adapter: Adapter) async throws {
        let world = try StoreWorld(adapter)
        let store = world.state
        let last: UInt64 = 3000
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for index in 1...last {
                    let value = [UInt8](String(index).utf8)
                    let command = Command(
                        request: RequestID(high: 0, low: index), timestamp: Timestamp(Int64(index)), closed: .zero,
                        mutations: ["a", "b", "k\(index % 100)"].map { Mutation(key: Key($0), value: value) })
                    try store.apply([
                        ApplyBatch(
                            range: RangeID(1), commands: [IndexedCommand(index: LogIndex(index), command: command)],
                            state: AppliedState(index))
                    ])
                }
            }
            group.addTask {
                var durable = LogIndex.zero
                while durable.rawValue < last {
                    let index = try store.checkpoint()[RangeID(1)] ?? .zero
                    #expect(index >= durable)
                    durable = index
                }
            }
            group.addTask {
                let reader = try store.makeReader()
                var previous = 0
                while previous < last {
                    let rows = try reader.scan(KeySpan("a", "c"), at: .distantFuture, limit: 9, byteLimit: 99).rows
                    let newest = try reader.read(Key("a"), at: .distantFuture)
                    guard rows.count == 2 else { continue }
                    #expect(rows[0].version == rows[1].version)
                    let value = Int(String(decoding: rows[0].version.value!, as: UTF8.self))!
                    #expect(value >= previous)
                    #expect(newest!.timestamp >= rows[0].version.timestamp)
                    previous = value
                }
            }
            try await group.waitForAll()
        }
        try world.restart(crash: true)
        #expect(try world.state.load()[a]?.position.index == LogIndex(last))
        #expect(
            try world.state.makeReader().scan(.all, at: .distantFuture, limit: 999, byteLimit: .max).rows.count == 102)
    }

    @Test(arguments: Adapter.allCases) func removesAReplicaAndNothingElse(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1"), ("b", "1")])
        try apply(world.state, 1, at: 10, [("c", "1")], range: RangeID(2))
        try world.state.remove(a, span: KeySpan("a", "c"))
        for _ in 0..<2 {
            #expect(try world.state.load().keys.sorted() == [RangeID(2)])
            let reader = try world.state.makeReader()
            #expect(rows(try reader.scan(.all, at: .distantFuture, limit: 9, byteLimit: 99).rows) == ["c=1"])
            #expect(try reader.outcome(of: RequestID(high: 1, low: 1), in: a) == nil)
            try world.restart(crash: false)
        }
        try apply(world.state, 1, at: 11, [("a", "new")])
        #expect(try world.state.makeReader().read(Key("a"), at: .distantFuture)?.value == bytes("new"))
    }

    @Test(arguments: Adapter.allCases) func collectsWhatNoReadAtTheHorizonSees(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1"), ("b", "1"), ("c", nil), ("d", "1")])
        try apply(world.state, 2, at: 20, [("a", "2"), ("b", nil)])
        try apply(world.state, 3, at: 30, [("a", "3"), ("d", nil)])
        // a: 10 goes. b: 10 and the deletion at 20. c: the deletion at 10. d: none.
        #expect(try world.state.uncollected() == [])
        #expect(try world.collect() == 0)
        try world.raiseThreshold(to: 29)
        #expect(try world.state.uncollected() == [a])
        #expect(try world.collect(limit: 100) == 4)
        #expect(try world.state.uncollected() == [])
        #expect(try world.collect(limit: 100) == 0)
        let reader = try world.state.makeReader()
        #expect(try reader.read(Key("a"), at: Timestamp(19)) == nil)
        #expect(try reader.read(Key("a"), at: Timestamp(29))?.value == bytes("2"))
        #expect(try reader.read(Key("b"), at: .distantFuture) == nil)
        #expect(try reader.read(Key("d"), at: Timestamp(29))?.value == bytes("1"))
        try world.raiseThreshold(to: 30)
        #expect(try world.collect(in: KeySpan("b", nil), limit: 100) == 2)
        #expect(rows(try reader.scan(.all, at: .distantFuture, limit: 9, byteLimit: 99).rows) == ["a=3"])
    }

    @Test(arguments: Adapter.allCases) func aLimitedCollectionBringsNothingBack(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        for index in UInt64(1)...6 {
            try apply(world.state, index, at: Int64(index), [("a", index == 6 ? nil : "\(index)"), ("b", "\(index)")])
        }
        try world.raiseThreshold(to: 1_000)
        let reader = try world.state.makeReader()
        var removed = 0
        while true {
            let progress = try world.state.collectGarbage(of: a, in: .all, limit: 2)
            #expect(progress.removed <= 2)
            removed += progress.removed
            if progress.isComplete { break }
            #expect(try reader.read(Key("a"), at: .distantFuture)?.value == nil)
            #expect(try reader.read(Key("b"), at: .distantFuture)?.value == bytes("6"))
        }
        #expect(removed == 11)
    }

    @Test(arguments: Adapter.allCases) func theThresholdIsAppliedStateAndSurvives(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try apply(world.state, 1, at: 10, [("a", "1")])
        #expect(try world.state.makeReader().threshold(of: a) == .zero)
        try world.raiseThreshold(to: 10)
        #expect(try world.state.makeReader().threshold(of: a) == Timestamp(10))
        _ = try world.state.checkpoint()
        try world.raiseThreshold(to: 20)
        try world.restart(crash: true)
        #expect(try world.state.load()[a]?.threshold == Timestamp(10), "the log replays what was not checkpointed")
        #expect(try world.state.makeReader().threshold(of: a) == Timestamp(10))
        #expect(try world.state.uncollected() == [a], "nobody knows how far the collection had come")
    }

    /// Whatever the order and the pieces: stores that have applied and collected the same add up to the same, and each
    /// finds by looking through its rows what it has kept account of.
    @Test(arguments: Adapter.allCases, 1...UInt64(6)) func theDigestIsThatOfTheRows(
        _ adapter: Adapter, seed: UInt64
    ) throws {
        var random = SplitMix64(seed: seed)
        let (world, other) = (try StoreWorld(adapter), try StoreWorld(.memory))
        var (index, threshold) = (UInt64(0), Int64(0))
        for _ in 0..<30 {
            for _ in 0...random.below(4) {
                index += 1
                let keys = Set((0...random.below(3)).map { _ in StateModel.key(&random) }).sorted()
                let isErasure = random.below(6) == 0
                let mutations = keys.map { key in
                    let isDeletion = isErasure || random.below(4) == 0
                    return Mutation(key: Key(key), value: isDeletion ? nil : bytes("v\(index)"))
                }
                let mark = Mutation(key: Key([]), value: nil)
                let command = Command(
                    request: RequestID(high: 1, low: index), timestamp: Timestamp(Int64(index) * 10),
                    closed: Timestamp(Int64(index) * 10 - 1), mutations: isErasure ? [mark] + mutations : mutations,
                    step: isErasure ? CommitStep(attempt: 0, kind: .erase) : nil)
                for store in [world.state, other.state] {
                    try store.apply([
                        ApplyBatch(
                            range: a, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                            state: AppliedState(
                                position: LogPosition(index, 1), membership: .sample, closed: command.closed,
                                threshold: Timestamp(threshold)))
                    ])
                }
                if random.below(3) == 0 {
                    #expect(try world.state.inspect(a, in: .all, limit: 3).isSound, "seed \(seed)")
                }
            }
            if random.below(3) == 0 { _ = try world.state.checkpoint() }
            if random.below(4) == 0 {
                index += 1
                threshold = max(threshold, Int64(random.below(index * 10)))
                for store in [world, other] { try store.raiseThreshold(to: threshold) }
            }
            if random.below(6) == 0 {
                _ = try world.state.checkpoint()
                try world.restart(crash: random.below(2) == 0)
                _ = try world.state.load()
            }
            if random.below(3) == 0 { _ = try world.state.collectGarbage(of: a, in: .all, limit: 2) }
        }
        index += 1
        var reports: [DigestReport] = []
        for store in [world, other] {
            try store.collect()
            var batch = ApplyBatch(
                range: a, commands: [],
                state: AppliedState(
                    position: LogPosition(index, 1), membership: .sample, closed: Timestamp(1),
                    threshold: Timestamp(threshold)))
            batch.isCompared = true
            try store.state.apply([batch])
            reports += store.state.takeReports()
            #expect(store.state.takeReports().isEmpty)
            var progress = InspectionProgress(isComplete: false, isSound: true)
            while !progress.isComplete { progress = try store.state.inspect(a, in: .all, limit: 3) }
            #expect(progress.isSound)
        }
        #expect(reports.count == 2 && reports[0] == reports[1], "seed \(seed)")
        #expect(reports[0].isComplete && reports[0].isSound && reports[0].digest.count > 0)
    }

    @Test(arguments: Adapter.allCases, SilentDamage.allCases) func anInspectionFindsDamage(
        _ adapter: Adapter, _ damage: SilentDamage
    ) throws {
        for isInMemory in [true, false] {
            let world = try StoreWorld(adapter)
            for index in UInt64(1)...20 { try apply(world.state, index, at: Int64(index), [("k\(index)", "\(index)")]) }
            if !isInMemory { _ = try world.state.checkpoint() }
            #expect(try world.state.inspect(a, in: .all, limit: 100) == .init(isComplete: true, isSound: true))
            #expect(try #require(world.state as? any Damageable).damage(.all, damage, choice: 5))
            #expect(try !world.state.inspect(a, in: .all, limit: 100).isSound)
            try world.restart(crash: false)
            #expect(try !world.state.inspect(a, in: .all, limit: 100).isSound, "what a restart finds is as damaged")
            let source = try StoreWorld(.memory)
            try apply(source.state, 21, at: 30, [("a", "1")])
            let reader = try source.state.openSnapshot(of: a, span: .all)
            let writer = try world.state.receiveSnapshot(of: a, span: .all, state: reader.state)
            try writer.append(try #require(try reader.chunk(at: 0, byteLimit: 1 << 20)))
            _ = try writer.commit()
            #expect(try world.state.inspect(a, in: .all, limit: 100).isSound, "a snapshot brings other rows")
        }
    }

    /// A row whose checksum does not hold is damage as well.
    @Test func anInspectionFindsARowThatCannotBeRead() throws {
        let directory = TemporaryDirectory()
        let stores = try SQLiteStores.open(directory)
        try apply(stores.state, 1, at: 1, [("a", "1")])
        _ = try stores.state.checkpoint()
        try stores.state.file.withLock { file in
            try file.connection.access("test") { try $0.execute(sql: "UPDATE versions SET value = x'32'") }
        }
        #expect(try stores.state.inspect(a, in: .all, limit: 100) == .init(isComplete: true, isSound: false))
        try stores.close()
    }

    /// Random applies, collections and restarts against a dictionary of versions.
    @Test(arguments: Adapter.allCases, 1...UInt64(12)) func agreesWithAModel(_ adapter: Adapter, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let world = try StoreWorld(adapter)
        var model = StateModel()
        var index: UInt64 = 0
        for _ in 0..<40 {
            for _ in 0...random.below(4) {
                index += 1
                let rows = (0...random.below(3)).map { _ -> (String, String?) in
                    (StateModel.key(&random), random.below(4) == 0 ? nil : "v\(index)")
                }
                try apply(world.state, index, at: Int64(index) * 10, rows)
                model.apply(rows, at: Int64(index) * 10)
            }
            if random.below(5) == 0 {
                let horizon = Int64(random.below(index * 10 + 10))
                model.floor = max(model.floor, horizon)
                index += 1
                try world.raiseThreshold(to: model.floor)
                try world.collect()
            }
            if random.below(5) == 0 {
                _ = try world.state.checkpoint()
                try world.restart(crash: random.below(2) == 0)
                #expect(try world.state.load()[a]?.position.index == LogIndex(index))
            }
            let reader = try world.state.makeReader()
            for _ in 0..<5 {
                let timestamp = model.floor + Int64(random.below(UInt64(Int64(index) * 10 + 10 - model.floor)))
                let (lower, upper) = (StateModel.key(&random), StateModel.key(&random))
                let span = KeySpan(min(lower, upper), random.below(4) == 0 ? nil : max(lower, upper))
                let limit = 1 + Int(random.below(20))
                #expect(
                    rows(try reader.scan(span, at: Timestamp(timestamp), limit: limit, byteLimit: .max).rows)
                        == model.scan(span, timestamp, limit), "seed \(seed)")
                #expect(
                    try reader.read(Key(lower), at: Timestamp(timestamp))?.value
                        == model.read(lower, timestamp).map { bytes($0) }, "seed \(seed)")
            }
        }
    }
}

/// The naive picture of a state store: every version ever written.
private struct StateModel {
    private var versions: [(key: String, timestamp: Int64, value: String?)] = []
    /// Below it, versions may have been collected.
    var floor: Int64 = 0

    static func key(_ random: inout SplitMix64) -> String { "k\(random.below(20))" }

    mutating func apply(_ rows: [(String, String?)], at timestamp: Int64) {
        for row in rows { versions.append((row.0, timestamp, row.1)) }
    }

    func read(_ key: String, _ timestamp: Int64) -> String? {
        versions.last { $0.key == key && $0.timestamp <= timestamp }?.value
    }

    func scan(_ span: KeySpan, _ timestamp: Int64, _ limit: Int) -> [String] {
        Set(versions.map(\.key)).sorted().filter { span.contains(Key($0)) }
            .compactMap { key in read(key, timestamp).map { "\(key)=\($0)" } }.prefix(limit).map { $0 }
    }
}
