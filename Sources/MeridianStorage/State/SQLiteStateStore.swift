import GRDB
import MeridianCore
import Synchronization

/// The applied state of a node's replicas in `state.sqlite`, with what was applied last in memory.
///
/// `apply` changes memory alone (`RecentState`) and readers see it at once. `checkpoint` writes all of it to the file
/// in one transaction, makes it durable and says how far that is; the log may be cut up to there and no further. So
/// the file always holds what some checkpoint left, whole, and after a crash the log replays the rest.
/// Written directly, a commit of one row costs a page of 4 KiB, twice (docs/internals/storage.md has the figures).
///
/// Remembered requests are looked up in memory (`RequestMemory`) and written beside the versions, a row for each range
/// of a checkpoint, so that a start can fill the memory again.
///
/// Threads: the port's calls come from one thread at a time, but `checkpoint` may run beside `apply` and the readers,
/// and need hold up neither. Whoever takes both locks takes the file's first.
package final class SQLiteStateStore: StateStore {
    let directory: String
    let options: SQLiteStoreOptions
    let isNew: Bool
    let recent = RecentState()
    let requests: RequestMemory
    let file: Mutex<StateFile>
    private let pending = PendingFrames()
    /// Readers that are open, to be closed before the writer.
    private let readers = Mutex<[WeakConnection]>([])
    /// Released when the store closes.
    private let lock: Mutex<(any AnyObject & Sendable)?>

    private struct WeakConnection: @unchecked Sendable {
        // Safe: it is only used to close the connection, when no call runs any more (`close`).
        weak var connection: StoreConnection?
    }

    init(
        directory: String, lock: any AnyObject & Sendable, identity: StoreIdentity, options: SQLiteStoreOptions,
        mark: FailureMark
    ) throws {
        self.directory = directory
        self.options = options
        self.lock = Mutex(lock)
        requests = RequestMemory(retention: options.requestRetention)
        try SnapshotStaging.removeAll(in: directory)
        let file = try StateFile(directory: directory, identity: identity, options: options, mark: mark)
        pending.observe(file.connection.handle)
        isNew = file.isNew
        self.file = Mutex(file)
        if isNew { recent.withLock { $0.isLoaded = true } }
    }

    package var pendingCheckpointByteCount: Int { recent.withLock { $0.byteCount } + pending.byteCount }

    package func checkpoint() throws -> [RangeID: LogIndex] {
        try loadIfNeeded()
        return try file.withLock { file in
            let applied = try flush(file)
            try deleteForgottenRequests(file)
            try noteFailure(file) { try file.connection.checkpoint() }
            pending.reset()
            return applied
        }
    }

    package func makeReader() throws -> any StateReader {
        try SQLiteStateReader(connection: try openReader(), recent: recent, requests: requests)
    }

    /// A connection that reads what has been committed to the file. It never writes and never checkpoints.
    func openReader() throws -> StoreConnection {
        let cache = options.readerCacheByteCount / 1024
        let reader = try StoreConnection(
            path: directory + "/state.sqlite", file: "state.sqlite", isReadOnly: true
        ) {
            try $0.execute(sql: "PRAGMA cache_size = -\(cache)")
            try $0.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        reader.keepWriteAheadLog()
        let weak = WeakConnection(connection: reader)
        readers.withLock { readers in
            readers.removeAll { $0.connection == nil }
            readers.append(weak)
        }
        return reader
    }

    /// Writes what is only in memory, if that is possible, to spare the next start the replay.
    package func close() throws {
        if recent.withLock({ $0.isLoaded && $0.failure == nil }) { _ = try? checkpoint() }
        // The writer last: SQLite checkpoints when the last connection closes.
        let readers = readers.withLock { $0 }
        for reader in readers { try reader.connection?.close() }
        try file.withLock { try $0.connection.close() }
        lock.withLock { $0 = nil }
    }

    /// Passes a failure of the file on to `apply`, which does not touch the file.
    func noteFailure<Result>(_ file: StateFile, _ body: () throws -> Result) rethrows -> Result {
        do {
            return try body()
        } catch {
            let failure = file.connection.failure
            recent.withLock { $0.failure = failure }
            throw error
        }
    }
}
