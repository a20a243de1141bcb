import Foundation
import MeridianCore
import Testing

@testable import MeridianSimulation
@testable import MeridianStorage

/// A directory of its own for one test, removed with the object.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "meridian-storage-\(UUID().uuidString)"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// What a crash leaves: the files as they are, without a close. The lock file stays behind.
    func crashCopy() -> TemporaryDirectory {
        let copy = TemporaryDirectory()
        for name in try! FileManager.default.contentsOfDirectory(atPath: path) where name != "LOCK" {
            try! FileManager.default.copyItem(atPath: path + "/" + name, toPath: copy.path + "/" + name)
        }
        return copy
    }

    /// The position after the last byte of a file that is not zero.
    func lastByte(_ name: String) -> Int { bytes(name).lastIndex { $0 != 0 }! + 1 }

    func bytes(_ name: String) -> [UInt8] { [UInt8](FileManager.default.contents(atPath: path + "/" + name)!) }
    func write(_ bytes: [UInt8], to name: String) {
        try! Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name))
    }
}

extension StoreIdentity {
    static let test = StoreIdentity(
        clusterID: "c1", node: NodeID(1), name: "n1", region: "eu-central-1", jurisdiction: Jurisdiction("EU"))
}

extension SQLiteStoreOptions {
    /// Small, so that tests are quick.
    static var test: SQLiteStoreOptions {
        var options = SQLiteStoreOptions()
        options.logPreallocatedByteCount = 160 * 1024
        return options
    }
}

extension SQLiteStores {
    static func open(_ directory: TemporaryDirectory, options: SQLiteStoreOptions = .test) throws -> SQLiteStores {
        try open(directory: directory.path, identity: .test, options: options)
    }
}

/// The adapters that the conformance suites run over.
enum Adapter: String, CaseIterable, Sendable {
    case sqlite, memory
    /// SQLite over a simulated disk, on which a crash loses what was not synced.
    case simulated
}

/// A pair of stores that can be restarted.
final class StoreWorld {
    let adapter: Adapter
    private var directory = TemporaryDirectory()
    private var storage: SQLiteStorage?
    private(set) var log: any LogStore
    private(set) var state: any StateStore

    init(_ adapter: Adapter) throws {
        self.adapter = adapter
        switch adapter {
        case .memory:
            log = MemoryLogStore()
            state = MemoryStateStore()
        case .sqlite:
            let stores = try SQLiteStores.open(directory)
            (log, state) = (stores.log, stores.state)
        case .simulated:
            let node = NodeDescriptor(id: NodeID(1), name: "n1", region: "eu-central-1", zone: Zone("a"))
            let storage = SQLiteStorage(node, jurisdiction: Jurisdiction("EU"), seed: 1)
            (log, state) = try storage.open()
            self.storage = storage
        }
    }

    /// Applies a threshold of collection as the range's next entry.
    func raiseThreshold(of range: RangeID = RangeID(1), to threshold: Int64) throws {
        var applied = try #require(try state.load()[range])
        applied.position.index = applied.position.index.next
        applied.threshold = max(applied.threshold, Timestamp(threshold))
        try state.apply([ApplyBatch(range: range, commands: [], state: applied)])
    }

    /// Collects all that the range's threshold lets go.
    /// - Returns: how many versions went.
    @discardableResult
    func collect(_ range: RangeID = RangeID(1), in span: KeySpan = .all, limit: Int = 7) throws -> Int {
        var removed = 0
        while try state.uncollected().contains(range) {
            let progress = try state.collectGarbage(of: range, in: span, limit: limit)
            #expect(progress.removed <= limit)
            removed += progress.removed
        }
        return removed
    }

    /// Closes and opens again, or opens what a crash left.
    func restart(crash: Bool) throws {
        switch adapter {
        case .memory:
            log = (log as! MemoryLogStore).reopened()
            state = (state as! MemoryStateStore).reopened(afterCrash: crash)
        case .sqlite:
            let next = crash ? directory.crashCopy() : directory
            try state.close()
            try log.close()
            directory = next
            let stores = try SQLiteStores.open(directory)
            (log, state) = (stores.log, stores.state)
        case .simulated:
            if crash {
                storage!.powerOff()
            } else {
                try state.close()
                try log.close()
                storage!.close()
            }
            (log, state) = try storage!.open()
        }
    }
}

extension LogWrite {
    init(
        _ range: RangeID, remove: Bool = false, reset: LogPosition? = nil, entries: [Entry] = [],
        hardState: HardState? = nil, compact: LogPosition? = nil
    ) {
        self.init(range: range)
        self.remove = remove
        self.reset = reset
        self.entries = entries
        self.hardState = hardState
        self.compact = compact
    }
}

extension LogPosition {
    init(_ index: UInt64, _ term: UInt64) { self.init(term: Term(term), index: LogIndex(index)) }
}

extension Command {
    /// A command with made-up contents.
    static func sample(_ number: UInt64, mutations: Int = 1, valueByteCount: Int = 100) -> Command {
        var random = SplitMix64(seed: number)
        return Command(
            request: RequestID(using: &random), timestamp: Timestamp(nanoseconds: Int64(number) * 1000),
            closed: Timestamp(nanoseconds: Int64(number) * 1000 - 1),
            mutations: (0..<mutations).map { _ in
                let key = Key((0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
                let isDeletion = random.below(8) == 0
                let value = (0..<valueByteCount).map { _ in UInt8.random(in: 0...255, using: &random) }
                return Mutation(key: key, value: isDeletion ? nil : value)
            })
    }
}

extension Entry {
    static func command(_ index: UInt64, term: UInt64 = 1, valueByteCount: Int = 100) -> Entry {
        let command = Command.sample(index &* 1000 &+ term, valueByteCount: valueByteCount)
        return Entry(term: Term(term), index: LogIndex(index), payload: .command(command))
    }
    static func empty(_ index: UInt64, term: UInt64 = 1) -> Entry {
        Entry(term: Term(term), index: LogIndex(index), payload: .empty)
    }
}

extension [Entry] {
    static func commands(_ indexes: ClosedRange<UInt64>, term: UInt64 = 1, valueByteCount: Int = 100) -> [Entry] {
        indexes.map { .command($0, term: term, valueByteCount: valueByteCount) }
    }
}

extension Membership {
    static let sample = Membership(members: [
        Member(node: NodeID(1), region: "eu-central-1", role: .voter),
        Member(node: NodeID(2), region: "eu-west-1", role: .witness),
        Member(node: NodeID(3), region: "eu-north-1", role: .learner),
    ])
}

extension AppliedState {
    init(_ index: UInt64, term: UInt64 = 1, closed: Int64 = 0) {
        self.init(position: LogPosition(index, term), membership: .sample, closed: Timestamp(nanoseconds: closed))
    }
}

extension Key {
    init(_ text: String) { self.init([UInt8](text.utf8)) }
}

extension Timestamp {
    init(_ nanoseconds: Int64) { self.init(nanoseconds: nanoseconds) }
}

extension KeySpan {
    init(_ lower: String, _ upper: String?) { self.init(lower: Key(lower), upper: upper.map { Key($0) }) }
    static let all = KeySpan(lower: Key([]), upper: nil)
}

func bytes(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

/// The code of the error that the body throws.
func code(_ body: () throws -> Void) -> MeridianError.Code? {
    do {
        try body()
        return nil
    } catch { return (error as? MeridianError)?.code ?? MeridianError(.tableMismatch, "untyped").code }
}
