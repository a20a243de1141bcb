import GRDB
import GRDBSQLite
import MeridianCore

/// All Raft logs of a node in `log.sqlite`: one transaction and one fsync a batch.
///
/// The log is written and, but for a start, never read; so its table is a log as well. A *run* is what one batch
/// appends to one range: consecutive entries in one row, and rows are only ever added at the table's end, whatever
/// range they belong to. A batch for many ranges therefore dirties the last page and not one page for each range.
///
/// What a run says is superseded by what later runs say:
/// - a run that starts at index i replaces everything of its range from i on (the suffix that Raft truncates);
/// - a reset or a removal hides all runs of the range before the group's `first_sequence`;
/// - a compaction hides everything at or below the group's base.
/// None of them touches a run on the commit path. Rows of which nothing shows any more are deleted by `checkpoint`,
/// in the order of their sequence, so that a hidden row never outlives the row that hides it.
///
/// `@unchecked Sendable`: the port is used by one thread at a time (`LogStore`), and nothing here is shared.
package final class SQLiteLogStore: LogStore, @unchecked Sendable {
    /// A run is split when it grows beyond this many bytes, to bound the memory that a start needs.
    static let maximumRunByteCount = 1024 * 1024

    let connection: StoreConnection
    /// Released when the store closes.
    private var lock: (any AnyObject & Sendable)?
    let isNew: Bool
    /// Whether the picture in memory is that of the file. It is made by `load`, or by the first write.
    var isLoaded: Bool

    var groups: [RangeID: Group] = [:]
    /// The live runs of each range in order. Their indexes are consecutive.
    var runs: [RangeID: [Run]] = [:]
    /// The sequence of the next run.
    var nextSequence: Int64 = 1
    /// Runs of which nothing shows any more: sequence numbers, closed intervals, to be deleted.
    var dead: [ClosedRange<Int64>] = []
    /// Ranges whose base in memory is ahead of the one in the file.
    var uncompacted: Set<RangeID> = []
    let pending = PendingFrames()
    let preallocatedByteCount: Int

    var buffer = ByteWriter(capacity: 64 * 1024)
    let insertRun: SQLiteStatement
    let putGroup: SQLiteStatement
    let deleteGroup: SQLiteStatement
    let deleteRuns: SQLiteStatement

    /// A range's row in `groups`, and how far its entries go. Without the runs, so that a batch can work on a copy.
    struct Group {
        var hardState = HardState()
        var base = LogPosition.zero
        /// Runs below this one do not count.
        var firstSequence: Int64
        var lastIndex: LogIndex
    }

    /// A row of which some entries show.
    struct Run {
        var sequence: Int64
        var first: LogIndex
        /// The last entry that still shows.
        var last: LogIndex
    }

    init(
        directory: String, lock: any AnyObject & Sendable, identity: StoreIdentity, options: SQLiteStoreOptions,
        files: any FileSystem, mark: FailureMark
    ) throws {
        self.lock = lock
        preallocatedByteCount = options.logPreallocatedByteCount
        let writeAheadLog = WriteAheadLogCheck(try files.contents(of: directory + "/log.sqlite-wal"))
        try writeAheadLog.verify()
        // Nobody else opens this file, so it takes SQLite's exclusive lock for good: no shared memory file, and no
        // lock calls, which are 5 µs of every commit. It must be set before the file is touched.
        connection = try StoreConnection(
            path: directory + "/log.sqlite", file: "log.sqlite", isReadOnly: false, mark: mark
        ) {
            try $0.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try $0.execute(sql: "PRAGMA cache_size = -8192")
        }
        isNew = try connection.closingOnFailure { [connection] in
            try Self.setUp(connection, identity, options, writeAheadLogByteCount: writeAheadLog.byteCount)
        }
        try connection.prepareTransactions()
        insertRun = try connection.prepare("write entries", "INSERT INTO runs VALUES(?, ?, ?, ?, ?, ?)")
        putGroup = try connection.prepare(
            "write a group", "REPLACE INTO groups VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        deleteGroup = try connection.prepare("remove a group", "DELETE FROM groups WHERE range_id = ?")
        deleteRuns = try connection.prepare(
            "delete entries", "DELETE FROM runs WHERE sequence BETWEEN ? AND ?")
        pending.observe(connection.handle)
        isLoaded = isNew
    }

    /// - Returns: whether the file is new.
    private static func setUp(
        _ connection: StoreConnection, _ identity: StoreIdentity, _ options: SQLiteStoreOptions,
        writeAheadLogByteCount found: Int
    ) throws -> Bool {
        try connection.access("set up") { database in
            guard try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL") == "wal" else {
                throw MeridianError(.storageFailed, "log.sqlite: write-ahead log refused")
            }
            // After the journal mode, because whoever turns that on may lower this.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        connection.keepWriteAheadLog()
        let isNew = try SQLiteSchema.log.open(connection, identity: identity)
        if let limit = options.maximumPageCount {
            try connection.access("set up") { try $0.execute(sql: "PRAGMA max_page_count = \(limit)") }
        }
        guard try connection.access("set up", { try Int.fetchOne($0, sql: "PRAGMA synchronous") }) == 2 else {
            throw MeridianError(.storageFailed, "log.sqlite: commits would not be durable")
        }
        try expectWholeWriteAheadLog(connection, found: found)
        try noteWriteAheadLog(connection, try connection.growWriteAheadLog(to: options.logPreallocatedByteCount))
        return isNew
    }

    package func load() throws -> [RangeID: StoredLog] { try readAll() }

    /// Whether a group's log no longer goes back to its beginning.
    func isCompacted() throws -> Bool {
        try connection.access("read groups") {
            try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT * FROM groups WHERE base_index <> 0)") ?? false
        }
    }

    /// While the store is open, and after a crash, the write-ahead log is never shorter than it was made. If it is,
    /// somebody removed or cut it, and with it what had been acknowledged. After a close everything is in the main
    /// file, and SQLite's own tools, which remove the write-ahead log, do no harm.
    private static func expectWholeWriteAheadLog(_ connection: StoreConnection, found: Int) throws {
        let expected = try connection.access("read meta") {
            try String.fetchOne($0, sql: "SELECT value FROM meta WHERE name = 'write_ahead_log_bytes'").flatMap(
                Int.init)
        }
        guard let expected, found < expected else { return }
        throw MeridianError(
            .corruption, "log.sqlite-wal has \(found) bytes, and had \(expected): it was removed or cut")
    }

    /// Notes in the main file how long the write-ahead log must be at least.
    private static func noteWriteAheadLog(_ connection: StoreConnection, _ byteCount: Int) throws {
        let noted = try connection.access("read meta") {
            try String.fetchOne($0, sql: "SELECT value FROM meta WHERE name = 'write_ahead_log_bytes'")
        }
        guard noted != String(byteCount) else { return }
        try connection.access("write meta") {
            try $0.execute(
                sql: "REPLACE INTO meta VALUES('write_ahead_log_bytes', ?)", arguments: [String(byteCount)])
        }
        try connection.checkpoint()
    }

    func noteWriteAheadLog(of byteCount: Int) throws { try Self.noteWriteAheadLog(connection, byteCount) }

    package func close() throws {
        if connection.failure == nil { try? Self.noteWriteAheadLog(connection, 0) }
        try connection.close()
        lock = nil
    }
}
