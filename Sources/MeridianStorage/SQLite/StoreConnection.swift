import GRDB
import GRDBSQLite
import MeridianCore

/// One connection to one file: GRDB opens it and runs what is seldom run; hot statements are prepared on it directly.
///
/// Every file has one connection that writes and checkpoints, and that is the only one that ever does so: before
/// SQLite 3.51.3 two connections doing it at the same time can corrupt the file. All others are read-only.
///
/// A connection that met an input or output error is poisoned: after a failed fsync the kernel may have dropped the
/// dirty pages and reports success the next time (Rebello et al., ATC 2020), so nothing is written any more, and no
/// later process trusts the files (`FailureMark`).
final class StoreConnection {
    let queue: DatabaseQueue
    let handle: OpaquePointer
    let file: String
    /// Why nothing is written any more.
    private(set) var failure: MeridianError?
    /// Where a failure is written down; `nil` for files of which nothing need outlive the process.
    private let mark: FailureMark?
    private var statements: [SQLiteStatement] = []
    private var begin: SQLiteStatement!
    private var commit: SQLiteStatement!
    private var rollback: SQLiteStatement!
    private var beginReading: SQLiteStatement!

    /// - Parameters:
    ///   - file: what error messages call it.
    ///   - isReadOnly: a reader, which never writes or checkpoints.
    ///   - prepare: settings that must be made before the file is touched.
    init(
        path: String, file: String, isReadOnly: Bool, mark: FailureMark? = nil,
        prepare: @escaping @Sendable (Database) throws -> Void
    ) throws {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(5)
        configuration.label = file
        // A snapshot's read transaction stays open between calls.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { database in
            try prepare(database)
            // On Apple's systems a plain fsync leaves the bytes in the drive's cache. Elsewhere it changes nothing.
            try database.execute(sql: "PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON")
        }
        self.file = file
        self.mark = mark
        queue = try SQLiteErrors.translate(file, "open") { try DatabaseQueue(path: path, configuration: configuration) }
        handle = queue.inDatabase { Handle(pointer: $0.sqliteConnection!) }.pointer
    }

    /// Carries the connection's address out of GRDB's queue. Safe because the store that owns the connection is used
    /// by one thread at a time, and the address is used inside accesses alone.
    private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }

    func prepareTransactions() throws {
        begin = try prepare("begin", "BEGIN IMMEDIATE")
        commit = try prepare("commit", "COMMIT")
        rollback = try prepare("roll back", "ROLLBACK")
    }

    func prepareReading() throws {
        beginReading = try prepare("begin", "BEGIN")
        commit = try prepare("commit", "COMMIT")
    }

    func prepare(_ name: String, _ sql: String) throws -> SQLiteStatement {
        let statement = try SQLiteStatement(handle, file: file, name: name, sql: sql)
        statements.append(statement)
        return statement
    }

    /// Runs seldom needed SQL through GRDB.
    func access<Result>(_ operation: String, _ body: (Database) throws -> Result) throws -> Result {
        try SQLiteErrors.translate(file, operation) { try queue.inDatabase(body) }
    }

    /// Runs hot statements inside an access, as GRDB wants it.
    @inline(__always)
    func perform<Result>(_ body: () throws -> Result) rethrows -> Result {
        try queue.inDatabase { _ in try body() }
    }

    /// Runs hot statements in one read transaction: each would take the file's locks for itself.
    func reading(_ body: () throws -> Void) throws {
        try queue.inDatabase { _ in
            try beginReading.run()
            do {
                try body()
            } catch {
                try? commit.run()
                throw error
            }
            try commit.run()
        }
    }

    /// Runs one statement with integers as arguments, inside an access.
    func execute(_ sql: String, _ arguments: [Int64] = []) throws {
        let statement = try SQLiteStatement(handle, file: file, name: "execute", sql: sql)
        defer { statement.finalize() }
        for (position, argument) in arguments.enumerated() { statement.bind(Int32(position + 1), argument) }
        while try statement.step() {}
    }

    /// Runs `body` in a transaction. If it throws, nothing of it remains; after anything worse than a full disk the
    /// connection is poisoned.
    func transaction(_ body: () throws -> Void) throws {
        if let failure { throw failure }
        do {
            try queue.inDatabase { _ in
                try begin.run()
                do {
                    try body()
                    try commit.run()
                } catch {
                    if sqlite3_get_autocommit(handle) == 0 { try? rollback.run() }
                    throw error
                }
            }
        } catch {
            poison(after: error)
            throw error
        }
    }

    /// Like `transaction`, and durable when it returns although the connection does not sync its commits.
    func durableTransaction(_ body: () throws -> Void) throws {
        if let failure { throw failure }
        try access("set up") { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        defer { try? access("set up") { try $0.execute(sql: "PRAGMA synchronous = NORMAL") } }
        try transaction(body)
    }

    /// Refuses every later write, unless the error is one that left the file as it was.
    func poison(after error: any Error) {
        guard failure == nil, let error = error as? MeridianError, error.code != .diskFull else { return }
        failure = MeridianError(.storageFailed, "not written any more after: \(error.message)")
        // A lock that somebody holds says nothing about the disk.
        if error.code != .directoryInUse { mark?.set(because: error) }
    }

    /// Moves the write-ahead log's pages into the file and makes both durable. Readers may keep it from moving all.
    func checkpoint() throws {
        if let failure { throw failure }
        do {
            try queue.inDatabase { _ in
                // PASSIVE: it waits for nobody, and the next write starts over at the log's beginning if it could move
                // everything. TRUNCATE would give back the space that makes the next fsyncs cheap.
                var code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
                guard code == SQLITE_OK else { throw SQLiteErrors.error(code, file, "checkpoint") }
                // SQLite syncs the write-ahead log only if there was something to move. With a reader in the way there
                // may be nothing to move although there is something to make durable.
                code = syncWriteAheadLog()
                guard code == SQLITE_OK else { throw SQLiteErrors.error(code, file, "fsync") }
            }
        } catch {
            poison(after: error)
            throw error
        }
    }

    /// Runs a step of opening. If it fails, the file is closed at once, not when the last reference is gone, so that
    /// it can be opened again right away.
    func closingOnFailure<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            try? close()
            throw error
        }
    }

    /// Closes the file. Its statements are of no use afterwards.
    func close() throws {
        if let failure { mark?.set(because: failure) }
        for statement in statements { statement.finalize() }
        statements = []
        try SQLiteErrors.translate(file, "close") { try queue.close() }
    }
}
