import GRDB
import GRDBSQLite
import MeridianCore

/// The tables of a file, and the table `meta` that says what the file is.
struct SQLiteSchema {
    /// "MRDN" in the file's header, so that `file(1)` and we know our own.
    static let applicationID = 0x4D52_444E

    /// "log" or "state".
    let kind: String
    /// The format that this code writes. Older ones are migrated, back to the oldest; all others are refused.
    let format: Int
    /// The oldest format that can be migrated.
    let oldest: Int
    /// What makes a file of a format one of the next, from the oldest on.
    let migrations: [String]
    /// The statements that create the tables, in SQLite's own spelling: they are compared with what the file says.
    let tables: [String]

    static let log = SQLiteSchema(
        kind: "log", format: 6, oldest: 6,
        // 2: entries that readmit a replica which lost its disk, and what it must remember of that.
        // 3: entries of transactions that several ranges take part in.
        // 4: entries that erase.
        // 5: entries that raise the threshold of collection.
        // 6: transactions that name their participants with generations. What was prepared before does not name them.
        migrations: [],
        tables: [
            "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE groups(range_id INTEGER PRIMARY KEY, term INTEGER NOT NULL, vote INTEGER, \
            committed INTEGER NOT NULL, base_term INTEGER NOT NULL, base_index INTEGER NOT NULL, \
            first_sequence INTEGER NOT NULL, checksum INTEGER NOT NULL, \
            incarnation INTEGER NOT NULL DEFAULT 0, recovering INTEGER NOT NULL DEFAULT 0)
            """,
            """
            CREATE TABLE runs(sequence INTEGER PRIMARY KEY, range_id INTEGER NOT NULL, first_index INTEGER NOT NULL, \
            last_index INTEGER NOT NULL, entries BLOB NOT NULL, checksum INTEGER NOT NULL)
            """,
        ])

    private static let changes =
        "CREATE TABLE changes(timestamp INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY(timestamp, key)) WITHOUT ROWID"

    static let state = SQLiteSchema(
        kind: "state", format: 5, oldest: 5,
        // 2: transactions of several ranges that are not over.
        // 3: the changes in outboxes by time.
        // 4: the threshold of collection.
        // 5: as 6 of the log.
        migrations: [],
        tables: [
            "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE ranges(range_id INTEGER PRIMARY KEY, term INTEGER NOT NULL, applied INTEGER NOT NULL, \
            closed INTEGER NOT NULL, membership BLOB NOT NULL, checksum INTEGER NOT NULL, \
            transactions BLOB NOT NULL DEFAULT x'', upkeep BLOB NOT NULL DEFAULT x'')
            """,
            """
            CREATE TABLE versions(key BLOB NOT NULL, timestamp INTEGER NOT NULL, value BLOB, \
            checksum INTEGER NOT NULL, PRIMARY KEY(key, timestamp DESC)) WITHOUT ROWID
            """,
            changes,
            """
            CREATE TABLE requests(sequence INTEGER PRIMARY KEY, range_id INTEGER NOT NULL, newest INTEGER NOT NULL, \
            outcomes BLOB NOT NULL, checksum INTEGER NOT NULL)
            """,
        ])

    /// Creates the tables in a file that has none, or checks that the file is ours.
    /// - Returns: whether the file was new.
    /// - Throws: `MeridianError` with `.notADatabase`, `.newerFormat`, `.wrongCluster` or `.corruption`.
    func open(_ connection: StoreConnection, identity: StoreIdentity) throws -> Bool {
        let file = connection.file
        let isNew = try connection.access("read the schema") { database in
            let id = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
            let count = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            guard count == 0 || id == Self.applicationID else {
                throw MeridianError(.notADatabase, "\(file) is a SQLite database of somebody else")
            }
            return count == 0
        }
        if isNew {
            try create(connection, identity)
            // Into the file itself, which must not look new if its write-ahead log is lost.
            try connection.checkpoint()
        } else {
            try check(connection, identity)
        }
        return isNew
    }

    private func create(_ connection: StoreConnection, _ identity: StoreIdentity) throws {
        let rows = [
            ("format", String(format)), ("kind", kind), ("cluster", identity.clusterID),
            ("node", String(identity.node.rawValue)), ("name", identity.name), ("region", identity.region.rawValue),
            ("jurisdiction", identity.jurisdiction?.rawValue ?? ""),
        ]
        // All of it or nothing: a crash in between leaves a file that counts as new.
        try connection.access("create the tables") { database in
            try database.inTransaction(.immediate) {
                try database.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
                for table in tables { try database.execute(sql: table) }
                for (name, value) in rows {
                    try database.execute(sql: "INSERT INTO meta VALUES(?, ?)", arguments: [name, value])
                }
                return .commit
            }
        }
    }

    private func check(_ connection: StoreConnection, _ identity: StoreIdentity) throws {
        let file = connection.file
        let meta = try connection.access("read meta") { database in
            guard try database.tableExists("meta") else {
                throw MeridianError(.corruption, "\(file): the schema is damaged")
            }
            var meta: [String: String] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT * FROM meta") {
                guard let name = String.fromDatabaseValue(row[0]), let value = String.fromDatabaseValue(row[1]) else {
                    throw MeridianError(.corruption, "\(file): meta is damaged")
                }
                meta[name] = value
            }
            return meta
        }
        guard let found = meta["format"].flatMap(Int.init), found > 0 else {
            throw MeridianError(.corruption, "\(file): meta is damaged")
        }
        guard found <= format else {
            throw MeridianError(.newerFormat, "\(file) has format \(found), this Meridian reads up to \(format)")
        }
        guard found >= oldest else {
            throw MeridianError(
                .olderFormat,
                "\(file) has format \(found), this Meridian reads from \(oldest) on; copy the rows over with the "
                    + "version that wrote it")
        }
        guard meta["kind"] == kind else {
            throw MeridianError(.notADatabase, "\(file) is not a Meridian \(kind) file")
        }
        let expected = [
            ("cluster", identity.clusterID), ("node", String(identity.node.rawValue)),
            ("region", identity.region.rawValue), ("jurisdiction", identity.jurisdiction?.rawValue ?? ""),
        ]
        for (name, value) in expected {
            let found = meta[name] ?? ""
            guard found == value else {
                throw MeridianError(.wrongCluster, "\(file) belongs to \(name) '\(found)', not to '\(value)'")
            }
        }
        if found < format { try migrate(connection, from: found) }
        // A damaged schema could make our statements mean something else.
        let statements = try connection.access("read the schema") { database in
            try String.fetchSet(database, sql: "SELECT sql FROM sqlite_master WHERE type = 'table'")
        }
        guard statements == Set(tables) else { throw MeridianError(.corruption, "\(file): the schema is damaged") }
    }

    /// Brings an older file up to this format: all of it or nothing.
    private func migrate(_ connection: StoreConnection, from found: Int) throws {
        precondition(migrations.count == format - oldest, "\(migrations.count) migrations lead to format \(format)")
        try connection.access("migrate") { database in
            try database.inTransaction(.immediate) {
                for migration in migrations[(found - oldest)...] { try database.execute(sql: migration) }
                try database.execute(
                    sql: "REPLACE INTO meta VALUES('format', ?)", arguments: [String(format)])
                return .commit
            }
        }
    }
}
