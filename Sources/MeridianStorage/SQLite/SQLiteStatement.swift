import GRDBSQLite
import MeridianCore

/// A prepared statement on the bare C API, for the statements that run for every entry, mutation and read. GRDB's own
/// statements cost up to half as much again there (docs/internals/storage.md has the figures).
///
/// Used by one thread at a time, like the connection that made it. Blobs are bound without a copy, so they must stay
/// where they are until the statement has been stepped.
final class SQLiteStatement {
    private var pointer: OpaquePointer?
    private let file: String
    private let name: String

    /// - Parameter name: what the statement does, for error messages.
    init(_ connection: OpaquePointer, file: String, name: String, sql: String) throws {
        self.file = file
        self.name = name
        let code = sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &pointer, nil)
        guard code == SQLITE_OK else {
            // The schema was compared with ours before, so a statement that does not compile means a damaged file.
            throw code == SQLITE_ERROR
                ? MeridianError(.corruption, "\(file): \(name): the schema is damaged")
                : SQLiteErrors.error(code, file, name)
        }
    }

    deinit { finalize() }

    /// Gives the statement up, which must happen before its connection closes.
    func finalize() {
        sqlite3_finalize(pointer)
        pointer = nil
    }

    @inline(__always)
    func bind(_ position: Int32, _ value: Int64) { sqlite3_bind_int64(pointer, position, value) }

    @inline(__always)
    func bind(_ position: Int32, _ value: UInt64) { sqlite3_bind_int64(pointer, position, Int64(bitPattern: value)) }

    /// Binds a blob in place. An empty one has no address, and SQLite would take that for NULL.
    @inline(__always)
    func bind(_ position: Int32, _ bytes: UnsafeRawBufferPointer) {
        if let address = bytes.baseAddress, bytes.count > 0 {
            sqlite3_bind_blob(pointer, position, address, Int32(bytes.count), nil)
        } else {
            sqlite3_bind_zeroblob(pointer, position, 0)
        }
    }

    func bindNull(_ position: Int32) { sqlite3_bind_null(pointer, position) }

    /// Whether there is a row.
    @inline(__always)
    func step() throws -> Bool {
        let code = sqlite3_step(pointer)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        sqlite3_reset(pointer)
        throw SQLiteErrors.error(code, file, name)
    }

    /// Runs a statement that gives no rows, and makes it ready for the next time.
    @inline(__always)
    func run() throws {
        let code = sqlite3_step(pointer)
        sqlite3_reset(pointer)
        guard code == SQLITE_DONE else { throw SQLiteErrors.error(code, file, name) }
    }

    @inline(__always)
    func reset() { sqlite3_reset(pointer) }

    @inline(__always)
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(pointer, column) }

    @inline(__always)
    func unsigned(_ column: Int32) -> UInt64 { UInt64(bitPattern: sqlite3_column_int64(pointer, column)) }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(pointer, column) == SQLITE_NULL }

    /// The blob in place, valid until the next step or reset.
    @inline(__always)
    func blob(_ column: Int32) -> UnsafeRawBufferPointer {
        let address = sqlite3_column_blob(pointer, column)
        return UnsafeRawBufferPointer(start: address, count: Int(sqlite3_column_bytes(pointer, column)))
    }
}
