import GRDB
import GRDBSQLite
import MeridianCore

/// `state.sqlite` and the one connection that writes and checkpoints it.
///
/// Not Sendable: the store keeps it behind a lock, which whoever writes the file holds as long as it takes.
final class StateFile {
    let connection: StoreConnection
    let isNew: Bool
    /// The rows of `requests` that a range has, oldest first.
    var requestRows: [RangeID: [RequestRow]] = [:]
    var nextRequestSequence: Int64 = 1
    /// Number of the next file for a snapshot that is being received.
    var nextStaging = 1

    var buffer = ByteWriter(capacity: 16 * 1024)
    var transactionBuffer = ByteWriter()
    var upkeepBuffer = ByteWriter(capacity: 64)
    let putVersion: SQLiteStatement
    let putRange: SQLiteStatement
    let putRequests: SQLiteStatement
    let examineVersions: SQLiteStatement
    let deleteVersion: SQLiteStatement
    let eraseVersions: SQLiteStatement
    let readVersions: SQLiteStatement
    let putChange: SQLiteStatement
    let deleteChange: SQLiteStatement
    let eraseChanges: SQLiteStatement

    struct RequestRow {
        var sequence: Int64
        /// The newest timestamp in it.
        var newest: Timestamp
    }

    init(directory: String, identity: StoreIdentity, options: SQLiteStoreOptions, mark: FailureMark) throws {
        let cache = options.stateCacheByteCount / 1024
        connection = try StoreConnection(
            path: directory + "/state.sqlite", file: "state.sqlite", isReadOnly: false, mark: mark
        ) { try $0.execute(sql: "PRAGMA cache_size = -\(cache)") }
        isNew = try connection.closingOnFailure { [connection] in try Self.setUp(connection, identity, options) }
        try connection.prepareTransactions()
        putVersion = try connection.prepare("write a version", "REPLACE INTO versions VALUES(?, ?, ?, ?)")
        putRange = try connection.prepare("write a range", "REPLACE INTO ranges VALUES(?, ?, ?, ?, ?, ?, ?, ?)")
        putRequests = try connection.prepare("write requests", "INSERT INTO requests VALUES(?, ?, ?, ?, ?)")
        examineVersions = try connection.prepare(
            "collect garbage",
            "SELECT key, timestamp, value, checksum FROM versions WHERE key >= ? ORDER BY key, timestamp DESC")
        deleteVersion = try connection.prepare(
            "collect garbage", "DELETE FROM versions WHERE key = ? AND timestamp = ?")
        eraseVersions = try connection.prepare("erase", "DELETE FROM versions WHERE key = ? AND timestamp <= ?")
        readVersions = try connection.prepare(
            "erase", "SELECT timestamp, value FROM versions WHERE key = ? AND timestamp <= ?")
        putChange = try connection.prepare("write a change", "REPLACE INTO changes VALUES(?, ?)")
        deleteChange = try connection.prepare(
            "collect garbage", "DELETE FROM changes WHERE timestamp = ? AND key = ?")
        eraseChanges = try connection.prepare(
            "erase",
            """
            DELETE FROM changes WHERE key = ?1 AND timestamp IN \
            (SELECT timestamp FROM versions WHERE key = ?1 AND timestamp <= ?2)
            """)
    }

    /// - Returns: whether the file is new.
    private static func setUp(
        _ connection: StoreConnection, _ identity: StoreIdentity, _ options: SQLiteStoreOptions
    ) throws -> Bool {
        try connection.access("set up") { database in
            guard try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL") == "wal" else {
                throw MeridianError(.storageFailed, "state.sqlite: write-ahead log refused")
            }
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        connection.keepWriteAheadLog()
        let isNew = try SQLiteSchema.state.open(connection, identity: identity)
        if let limit = options.maximumPageCount {
            try connection.access("set up") { try $0.execute(sql: "PRAGMA max_page_count = \(limit)") }
        }
        return isNew
    }
}
