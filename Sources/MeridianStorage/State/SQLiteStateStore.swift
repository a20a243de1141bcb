import GRDB
import GRDBSQLite
import MeridianCore

/// The applied state of a node's replicas in `state.sqlite`.
///
/// An apply batch is one transaction that readers see at once, and nothing is synced: after a crash the file holds
/// what some earlier batch left, and the log replays the rest. `checkpoint` makes everything durable and says how far
/// that is; the log may be cut up to there and no further.
///
/// Remembered requests are looked up in memory (`RequestMemory`) and written beside the versions, a row for each range
/// of a batch, so that a start can fill the memory again. A table with the requests as its key would dirty a page for
/// every commit, as dear as the commit's own row.
///
/// `@unchecked Sendable`: the port is used by one thread at a time (`StateStore`). Readers, which run beside it, have
/// connections of their own and share the `RequestMemory`, which locks, and nothing else.
package final class SQLiteStateStore: StateStore, @unchecked Sendable {
    let directory: String
    let connection: SQLiteConnection
    let options: SQLiteStoreOptions
    /// Released when the store closes.
    private var lock: DirectoryLock?
    let isNew: Bool

    /// Whether the picture in memory is that of the file. It is made by `load`, or by the first apply.
    var isLoaded: Bool
    var states: [RangeID: AppliedState] = [:]
    let requests: RequestMemory
    /// The rows of `requests` that a range has, oldest first.
    var requestRows: [RangeID: [RequestRow]] = [:]
    var nextRequestSequence: Int64 = 1
    let pending = PendingFrames()
    /// Where the next garbage collection of a span goes on, by the span's lower bound.
    var garbageCursors: [Key: Key] = [:]
    /// Readers that are open, to be closed before the writer.
    var readers: [WeakConnection] = []
    /// Number of the next file for a snapshot that is being received.
    var nextStaging = 1

    var buffer = ByteWriter(capacity: 16 * 1024)
    let putVersion: SQLiteStatement
    let putRange: SQLiteStatement
    let putRequests: SQLiteStatement
    let examineVersions: SQLiteStatement
    let deleteVersion: SQLiteStatement

    struct RequestRow {
        var sequence: Int64
        /// The newest timestamp in it.
        var newest: Timestamp
    }

    final class WeakConnection {
        weak var connection: SQLiteConnection?
        init(_ connection: SQLiteConnection) { self.connection = connection }
    }

    init(directory: String, lock: DirectoryLock, identity: StoreIdentity, options: SQLiteStoreOptions) throws {
        self.directory = directory
        self.lock = lock
        self.options = options
        let cache = options.stateCacheByteCount / 1024
        connection = try SQLiteConnection(
            path: directory + "/state.sqlite", file: "state.sqlite", isReadOnly: false
        ) { try $0.execute(sql: "PRAGMA cache_size = -\(cache)") }
        try connection.access("set up") { database in
            guard try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL") == "wal" else {
                throw MeridianError(.storageFailed, "state.sqlite: write-ahead log refused")
            }
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        connection.keepWriteAheadLog()
        isNew = try SQLiteSchema.state.open(connection, identity: identity)
        if let limit = options.maximumPageCount {
            try connection.access("set up") { try $0.execute(sql: "PRAGMA max_page_count = \(limit)") }
        }
        try SnapshotStaging.removeAll(in: directory)
        requests = RequestMemory(retention: options.requestRetention)
        try connection.prepareTransactions()
        putVersion = try connection.prepare("write a version", "REPLACE INTO versions VALUES(?, ?, ?, ?)")
        putRange = try connection.prepare("write a range", "REPLACE INTO ranges VALUES(?, ?, ?, ?, ?, ?)")
        putRequests = try connection.prepare("write requests", "INSERT INTO requests VALUES(?, ?, ?, ?, ?)")
        examineVersions = try connection.prepare(
            "collect garbage",
            "SELECT key, timestamp, value IS NULL FROM versions WHERE key >= ? ORDER BY key, timestamp DESC")
        deleteVersion = try connection.prepare(
            "collect garbage", "DELETE FROM versions WHERE key = ? AND timestamp = ?")
        pending.observe(connection.handle)
        isLoaded = isNew
    }

    package var pendingCheckpointByteCount: Int { pending.byteCount }

    package func checkpoint() throws -> [RangeID: LogIndex] {
        if !isLoaded { _ = try load() }
        try deleteForgottenRequests()
        try connection.checkpoint()
        pending.reset()
        return states.mapValues(\.position.index)
    }

    package func makeReader() throws -> any StateReader {
        try SQLiteStateReader(connection: try openReader(), requests: requests)
    }

    /// A connection that reads what has been committed. It never writes and never checkpoints.
    func openReader() throws -> SQLiteConnection {
        let cache = options.readerCacheByteCount / 1024
        let reader = try SQLiteConnection(
            path: directory + "/state.sqlite", file: "state.sqlite", isReadOnly: true
        ) {
            try $0.execute(sql: "PRAGMA cache_size = -\(cache)")
            try $0.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        reader.keepWriteAheadLog()
        readers.removeAll { $0.connection == nil }
        readers.append(WeakConnection(reader))
        return reader
    }

    package func close() throws {
        // The writer last: SQLite checkpoints when the last connection closes.
        for reader in readers { try reader.connection?.close() }
        readers = []
        try connection.close()
        lock = nil
    }
}
