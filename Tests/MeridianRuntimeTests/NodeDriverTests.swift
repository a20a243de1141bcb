import Foundation
import Logging
import MeridianCore
import MeridianReplica
import MeridianStorage
import Synchronization
import Testing

@testable import MeridianRuntime

/// A node over its stores: one node, which is its own quorum.
@Suite(.serialized, .timeLimit(.minutes(1))) struct NodeDriverTests {
    enum Stores: CaseIterable { case memory, sqlite }

    @Test(arguments: Stores.allCases) func concurrentCommitsShareLogWrites(_ kind: Stores) async throws {
        let fixture = try Fixture(kind)
        let driver = try fixture.start()
        _ = await driver.write(0)
        let before = fixture.log.writes.load(ordering: .relaxed)
        let answers = await driver.writes(1...400)
        #expect(answers.allSatisfy { $0.isCommitted })
        #expect(fixture.log.writes.load(ordering: .relaxed) - before < 200, "group commit")
        driver.stop()
    }

    @Test(arguments: Stores.allCases) func aNodeGoesOnFromItsStores(_ kind: Stores) async throws {
        let fixture = try Fixture(kind)
        for isCrash in [false, true] {
            let driver = try fixture.start()
            let answers = await driver.writes(1...50)
            #expect(answers.allSatisfy { $0.isCommitted })
            driver.stop(isCrash: isCrash)
            try fixture.reopen(isCrash)
        }
        let driver = try fixture.start()
        #expect(await driver.count() == 50)
        driver.stop()
    }

    @Test(arguments: [false, true]) func stoppingAnswersEveryCall(isCrash: Bool) async throws {
        let fixture = try Fixture(.memory)
        let driver = try fixture.start()
        _ = await driver.write(0)
        fixture.log.delayMicroseconds.store(20_000, ordering: .relaxed)
        async let answers = driver.writes(1...100)
        try await Task.sleep(for: .milliseconds(30))
        await Self.blocking { driver.stop(isCrash: isCrash) }
        for answer in await answers where !answer.isCommitted { #expect(answer.code == .shutDown) }
        #expect(await driver.write(5).code == .shutDown)
        driver.stop()
    }

    /// The stores are closed by `stop`; reads that are under way must be over by then.
    @Test func stoppingWaitsForReads() async throws {
        for _ in 0..<10 {
            let fixture = try Fixture(.sqlite)
            let driver = try fixture.start()
            _ = await driver.writes(1...20)
            async let reads: Void = {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<50 { group.addTask { _ = await driver.count() } }
                }
            }()
            await Self.blocking { driver.stop(isCrash: true) }
            await reads
        }
    }

    @Test func aFullDiskRefusesCommitsServesReadsAndPasses() async throws {
        let fixture = try Fixture(.memory)
        let driver = try fixture.start()
        _ = await driver.write(1)
        fixture.log.failure.withLock { $0 = MeridianError(.diskFull, "no space") }
        async let stuck = driver.write(2, deadline: .seconds(20))
        try await Task.sleep(for: .milliseconds(700))
        #expect(await driver.write(3).code == .diskFull)
        #expect(await driver.has(1), "rows that nobody is writing can be read")
        fixture.log.failure.withLock { $0 = nil }
        #expect(await stuck.isCommitted, "what waited for space is written")
        #expect(await driver.write(4).isCommitted)
        #expect(await driver.count() == 3)
        driver.stop()
    }

    @Test func afterAFailedSyncNothingIsWrittenAgain() async throws {
        let fixture = try Fixture(.memory)
        let driver = try fixture.start()
        _ = await driver.write(1)
        fixture.log.failure.withLock { $0 = MeridianError(.storageFailed, "fsync failed") }
        async let stuck = driver.write(2, deadline: .seconds(5))
        try await Task.sleep(for: .milliseconds(100))
        #expect(await driver.write(3).code == .storageFailed)
        let answer = await stuck
        guard case .failed(let error) = answer else {
            Issue.record("committed on a failed log")
            return
        }
        #expect(error.commitOutcome == .unknown)
        let attempts = fixture.log.writes.load(ordering: .relaxed)
        fixture.log.failure.withLock { $0 = nil }
        _ = await driver.write(4, deadline: .milliseconds(200))
        #expect(fixture.log.writes.load(ordering: .relaxed) == attempts)
        driver.stop(isCrash: true)
    }

    /// The step thread is held up after any reading of its clock, while another node commits and tells its client, who
    /// then writes here.
    @Test func aCommitGetsATimestampAfterItsInvocation() async throws {
        let time = HeldClock()
        let fixture = try Fixture(.memory)
        let driver = try fixture.start(time)
        _ = await driver.write(1)
        for reading in 1...4 {
            time.hold(afterReading: reading)
            driver.receive(NodeFrame(from: NodeID(2), to: NodeID(1), clock: nil, sent: .zero, messages: []))
            while !time.isHolding { try await Task.sleep(for: .milliseconds(1)) }
            try await Task.sleep(for: .milliseconds(20))
            let elsewhere = WallClock().now().clock.latest
            async let second = driver.write(3)
            try await Task.sleep(for: .milliseconds(20))
            time.release()
            guard case .committed(let result, _) = await second else {
                Issue.record("not committed")
                return
            }
            #expect(result.timestamp > elsewhere, "held after reading \(reading)")
        }
        driver.stop()
    }

    private static func blocking(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            Thread {
                body()
                continuation.resume()
            }.start()
        }
    }
}

/// One node's stores, reopened as a restart finds them.
private final class Fixture {
    let kind: NodeDriverTests.Stores
    private let directory = NSTemporaryDirectory() + "meridian-runtime-\(UUID().uuidString)"
    private(set) var log: WatchedLog
    private var state: any StateStore
    private var memory: (log: MemoryLogStore, state: MemoryStateStore)?

    init(_ kind: NodeDriverTests.Stores) throws {
        self.kind = kind
        switch kind {
        case .memory:
            let stores = (log: MemoryLogStore(), state: MemoryStateStore())
            memory = stores
            log = WatchedLog(stores.log)
            state = stores.state
        case .sqlite:
            let stores = try Self.open(directory)
            log = WatchedLog(stores.log)
            state = stores.state
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private static func open(_ directory: String) throws -> SQLiteStores {
        try SQLiteStores.open(
            directory: directory,
            identity: StoreIdentity(
                clusterID: "c1", node: NodeID(1), name: "n1", region: "local", jurisdiction: Jurisdiction("local")))
    }

    func start(_ time: any TimeSource = WallClock()) throws -> NodeDriver {
        let configuration = NodeConfiguration(node: NodeID(1), topology: try Topology.local(nodes: 1), seed: 1)
        let driver = try NodeDriver(
            configuration: configuration, log: log, state: state, time: time,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, send: { _ in })
        driver.start()
        return driver
    }

    func reopen(_ isCrash: Bool) throws {
        if let stores = memory {
            let next = (log: stores.log.reopened(), state: stores.state.reopened(afterCrash: isCrash))
            memory = next
            log = WatchedLog(next.log)
            state = next.state
        } else {
            let stores = try Self.open(directory)
            log = WatchedLog(stores.log)
            state = stores.state
        }
    }
}

/// A log that counts its writes, and fails or dawdles when it is told to.
private final class WatchedLog: LogStore {
    private let store: any LogStore
    let writes = Atomic(0)
    let delayMicroseconds = Atomic(0)
    let failure = Mutex<MeridianError?>(nil)

    init(_ store: any LogStore) { self.store = store }

    func load() throws -> [RangeID: StoredLog] { try store.load() }

    func write(_ writes: [LogWrite]) throws {
        self.writes.add(1, ordering: .relaxed)
        let delay = delayMicroseconds.load(ordering: .relaxed)
        if delay > 0 { usleep(UInt32(delay)) }
        if let failure = failure.withLock({ $0 }) { throw failure }
        try store.write(writes)
    }

    var pendingCheckpointByteCount: Int { store.pendingCheckpointByteCount }
    func checkpoint() throws { try store.checkpoint() }
    func scrub(_ forgotten: [RangeID: LogIndex]) throws -> Bool { try store.scrub(forgotten) }
    func close() throws { try store.close() }
}

private struct WallClock: TimeSource {
    func now() -> Moment {
        let now = MonotonicTime.nanoseconds()
        return Moment(
            instant: Instant(nanoseconds: now),
            clock: ClockInterval(
                reading: Timestamp(nanoseconds: 1_700_000_000_000_000_000 + now), errorNanoseconds: 50_000))
    }
}

/// A clock that can hold up the thread that has read it.
private final class HeldClock: TimeSource {
    private let readingsLeft = Atomic(0)
    private let isHeld = Atomic(false)
    private let holding = Atomic(false)

    var isHolding: Bool { holding.load(ordering: .sequentiallyConsistent) }

    func hold(afterReading reading: Int) {
        isHeld.store(true, ordering: .sequentiallyConsistent)
        readingsLeft.store(reading, ordering: .sequentiallyConsistent)
    }

    func release() { isHeld.store(false, ordering: .sequentiallyConsistent) }

    func now() -> Moment {
        let moment = WallClock().now()
        if readingsLeft.load(ordering: .sequentiallyConsistent) > 0,
            readingsLeft.subtract(1, ordering: .sequentiallyConsistent).newValue == 0
        {
            holding.store(true, ordering: .sequentiallyConsistent)
            while isHeld.load(ordering: .sequentiallyConsistent) { usleep(500) }
            holding.store(false, ordering: .sequentiallyConsistent)
        }
        return moment
    }
}

extension NodeDriver {
    fileprivate static let span = KeySpan(lower: key(0), upper: key(1 << 20))

    fileprivate static func key(_ number: Int) -> Key {
        Key(Catalog.systemSpan.lower.bytes + [1] + withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) })
    }

    fileprivate func write(_ number: Int, deadline: Duration = .seconds(5)) async -> Answer {
        var generator = SystemRandomNumberGenerator()
        let commit = CommitRequest(
            id: RequestID(using: &generator), preconditions: [],
            mutations: [Mutation(key: Self.key(number), value: [UInt8](repeating: 1, count: 50))])
        return await call(Catalog.systemRange, .commit(commit), deadline: deadline, mayBeRepeated: false)
    }

    fileprivate func writes(_ numbers: ClosedRange<Int>) async -> [Answer] {
        await withTaskGroup(of: Answer.self) { group in
            for number in numbers { group.addTask { await self.write(number) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    fileprivate func has(_ number: Int) async -> Bool {
        let read = ReadRequest(timestamp: nil, operations: [.get(Self.key(number))])
        let answer = await call(Catalog.systemRange, .read(read), deadline: .seconds(1), mayBeRepeated: false)
        guard case .read(let result) = answer else { return false }
        return result.pages[0].rows.count == 1
    }

    fileprivate func count() async -> Int? {
        let read = ReadRequest(timestamp: nil, operations: [.scan(Self.span, limit: 1000, byteLimit: 1 << 20)])
        let answer = await call(Catalog.systemRange, .read(read), deadline: .seconds(5), mayBeRepeated: false)
        guard case .read(let result) = answer else { return nil }
        return result.pages[0].rows.count
    }
}

extension GatewayAnswer.Body {
    fileprivate var isCommitted: Bool {
        if case .committed = self { return true }
        return false
    }

    fileprivate var code: MeridianError.Code? {
        if case .failed(let error) = self { return error.code }
        return nil
    }
}
