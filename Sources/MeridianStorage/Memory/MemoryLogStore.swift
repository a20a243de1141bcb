import MeridianCore
import Synchronization

/// Raft logs in memory, for tests, simulations and clusters that need not outlive their process.
package final class MemoryLogStore: LogStore {
    private let logs: Mutex<[RangeID: StoredLog]>

    package init() { logs = Mutex([:]) }
    private init(_ stored: [RangeID: StoredLog]) { logs = Mutex(stored) }

    package func load() -> [RangeID: StoredLog] { logs.withLock { $0 } }

    package func write(_ writes: [LogWrite]) throws {
        logs.withLock { logs in
            for write in writes { Self.apply(write, to: &logs[write.range]) }
        }
    }

    package var pendingCheckpointByteCount: Int { 0 }
    package func checkpoint() {}
    package func close() {}

    package func scrub(_ forgotten: [RangeID: LogIndex]) -> Bool {
        logs.withLock { logs in
            forgotten.allSatisfy { range, index in logs[range].map { $0.base.index >= index } ?? true }
        }
    }

    /// The store that a restart finds, also after a crash: whatever was written is durable.
    package func reopened() -> MemoryLogStore { MemoryLogStore(load()) }

    private static func apply(_ write: LogWrite, to log: inout StoredLog?) {
        if write.remove { log = nil }
        if let position = write.reset {
            log = StoredLog(hardState: log?.hardState ?? HardState(), base: position)
        }
        if let first = write.entries.first {
            if log == nil { log = StoredLog() }
            let base = log!.base.index
            let last = base.rawValue + UInt64(log!.entries.count)
            precondition(
                first.index > base && first.index.rawValue <= last + 1,
                "\(write.range): entries from \(first.index) on a log of \(base)...\(last)")
            log!.entries.removeLast(Int(last + 1 - first.index.rawValue))
            log!.entries += write.entries
        }
        if let hardState = write.hardState {
            if log == nil { log = StoredLog() }
            log!.hardState = hardState
        }
        if let position = write.compact, let base = log?.base.index, position.index > base {
            let count = Int(position.index.rawValue - base.rawValue)
            precondition(count <= log!.entries.count, "\(write.range): compaction to \(position) beyond the log")
            log!.entries.removeFirst(count)
            log!.base = position
        }
    }
}
