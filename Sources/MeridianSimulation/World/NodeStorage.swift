import MeridianCore
import MeridianReplica
import MeridianStorage

/// Which of a node's files a disk fault concerns.
public enum FileKind: String, CaseIterable, Sendable, Hashable {
    case log
    case state
}

/// What can be wrong with a simulated disk at present.
struct DiskTrouble: Equatable {
    var isFull = false
    /// The next sync of the log fails, and what it was to write is lost.
    var failsNextSync = false
    /// Syncs return without making anything durable.
    var liesAboutSyncs = false
}

/// A node's files over its lives. What `open` gives stands for the files while the process runs; `powerOff` takes them
/// away as a power cut does, and the next `open` finds what a disk would still hold.
protocol NodeStorage: AnyObject {
    /// - Throws: `MeridianError` with `.corruption` when the files are damaged and the store notices.
    func open() throws -> (log: any LogStore, state: any StateStore)
    func powerOff()
    /// Ends in good order: everything is durable.
    func close()
    /// An empty disk in the place of the old one, on which nothing is written but that the node begins this life.
    func wipe(beginning life: Incarnation)
    var trouble: DiskTrouble { get set }
    /// Damages what is stored: the next `open` or read must notice. Only while the node is down.
    func damage(_ kind: DiskDamage, in file: FileKind)
    /// Time that the disk has lost through its own faults since the last call, in nanoseconds.
    func takeStallNanoseconds() -> Int64
    /// Whether the bytes stand in any file.
    func holds(_ bytes: [UInt8]) -> Bool
    /// After a power cut that lost what the disk had said was durable: the node must not trust its files.
    var hasBrokenPromises: Bool { get }
}

/// How stored bytes go bad.
public enum DiskDamage: String, CaseIterable, Sendable, Hashable {
    case bitRot
    case truncation
    case misdirectedWrite
}

/// Storage in memory, the fast one: whole writes are durable or not, and damage is noticed at the next start, as the
/// real store's checksums notice it.
final class MemoryStorage: NodeStorage {
    private var log = SimulatedLogStore()
    private var state = MemoryStateStore()
    private var isDamaged: (DiskDamage, FileKind)?
    private(set) var hasBrokenPromises = false

    var trouble = DiskTrouble() {
        didSet { log.trouble = trouble }
    }

    func open() throws -> (log: any LogStore, state: any StateStore) {
        if let (damage, file) = isDamaged {
            throw MeridianError(.corruption, "the \(file) does not match its checksums (\(damage))")
        }
        if log.isPoisoned { throw MeridianError(.corruption, "a sync of the log has failed") }
        return (log, state)
    }

    func powerOff() {
        hasBrokenPromises = log.powerOff() || hasBrokenPromises
        state = state.reopened(afterCrash: true)
    }

    func close() {
        log.processEnded()
        state = state.reopened(afterCrash: false)
    }

    func wipe(beginning life: Incarnation) {
        log = SimulatedLogStore(beginning: life)
        log.trouble = trouble
        state = MemoryStateStore()
        isDamaged = nil
        hasBrokenPromises = false
    }

    func damage(_ kind: DiskDamage, in file: FileKind) { isDamaged = (kind, file) }
    func takeStallNanoseconds() -> Int64 { 0 }

    func holds(_ bytes: [UInt8]) -> Bool {
        let rows = (try? state.makeReader().rows(of: .all, at: .distantFuture)) ?? []
        if rows.contains(where: { $0.key.bytes.holds(bytes) || $0.version.value?.holds(bytes) == true }) {
            return true
        }
        return log.load().values.contains { stored in
            stored.entries.contains { entry in
                guard case .command(let command) = entry.payload else { return false }
                return command.mutations.contains { $0.key.bytes.holds(bytes) || $0.value?.holds(bytes) == true }
            }
        }
    }
}

/// A log in memory on a disk that can be full, fail and lie.
final class SimulatedLogStore: LogStore, @unchecked Sendable {
    private var store = MemoryLogStore()
    /// What was durable when the disk began to lie.
    private var beforeLies: MemoryLogStore?
    /// A sync has failed: nothing is written any more, and no later process trusts the file (`FailureMark`).
    private(set) var isPoisoned = false
    var trouble = DiskTrouble()

    init() {}

    /// The log of a node that lost its disk, as it is before the first start.
    init(beginning life: Incarnation) {
        // Memory does not fail.
        try? store.write([NodeCore.recoveryWrite(life)])
    }

    func load() -> [RangeID: StoredLog] { store.load() }

    func write(_ writes: [LogWrite]) throws {
        if isPoisoned { throw Self.failure }
        if trouble.isFull { throw MeridianError(.diskFull, "no space for the log", retry: .after(.seconds(1))) }
        if trouble.failsNextSync {
            trouble.failsNextSync = false
            isPoisoned = true
            throw Self.failure
        }
        if trouble.liesAboutSyncs {
            if beforeLies == nil { beforeLies = store.reopened() }
        } else {
            beforeLies = nil
        }
        try store.write(writes)
    }

    private static let failure = MeridianError(.storageFailed, "fsync of the log failed; the node must be replaced")

    var pendingCheckpointByteCount: Int { 0 }
    func checkpoint() { makeDurable() }
    func scrub(_ forgotten: [RangeID: LogIndex]) -> Bool { store.scrub(forgotten) }
    func makeDurable() { if !trouble.liesAboutSyncs { beforeLies = nil } }
    func close() {}

    func processEnded() { makeDurable() }

    /// - Returns: whether something that was acknowledged is gone.
    func powerOff() -> Bool {
        defer { beforeLies = nil }
        guard let beforeLies else { return false }
        store = beforeLies
        return true
    }
}

extension KeySpan {
    /// Every key there is.
    static let all = KeySpan(lower: Key([]), upper: nil)
}

extension [UInt8] {
    func holds(_ needle: [UInt8]) -> Bool {
        guard !needle.isEmpty, count >= needle.count else { return false }
        return (0...(count - needle.count)).contains { self[$0..<($0 + needle.count)].elementsEqual(needle) }
    }
}
