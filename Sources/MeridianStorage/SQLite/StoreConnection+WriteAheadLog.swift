import GRDBSQLite
import MeridianCore

/// SQLite's write-ahead log as a file: kept, grown ahead, and synced.
extension StoreConnection {
    /// Keeps the write-ahead log's file when the last connection closes, and after checkpoints.
    func keepWriteAheadLog() {
        var isKept: Int32 = 1
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &isKept)
    }

    /// Grows the write-ahead log to `byteCount` with zeros, durably, so that commits overwrite bytes that are there:
    /// an fdatasync that need not write a new file length takes half as long.
    ///
    /// Sound because SQLite reads a log up to the first frame whose salt and checksum do not fit; what lies behind it
    /// is left over from an earlier turn, and zeros fit as little as those.
    /// - Returns: how long it is now.
    func growWriteAheadLog(to byteCount: Int) throws -> Int {
        guard let log = writeAheadLog else { return 0 }
        let methods = log.pointee.pMethods.pointee
        var size: sqlite3_int64 = 0
        var code = methods.xFileSize(log, &size)
        // SQLite writes fewer than 128 KiB at once, and silently nothing of anything larger.
        let zeros = [UInt8](repeating: 0, count: 64 * 1024)
        while code == SQLITE_OK, size < byteCount {
            let count = min(Int64(zeros.count), Int64(byteCount) - size)
            code = methods.xWrite(log, zeros, Int32(count), size)
            size += count
        }
        if code == SQLITE_OK { code = methods.xSync(log, SQLITE_SYNC_FULL) }
        // Without the space the store works as well, only slower, or reports a full disk when it writes.
        guard code == SQLITE_OK || code & 0xFF == SQLITE_FULL else {
            let error = SQLiteErrors.error(code, file, "grow")
            poison(after: error)
            throw error
        }
        code = methods.xFileSize(log, &size)
        guard code == SQLITE_OK else { throw SQLiteErrors.error(code, file, "grow") }
        return Int(size)
    }

    /// Makes everything that was committed durable.
    /// - Returns: SQLite's result code.
    func syncWriteAheadLog() -> Int32 {
        guard let log = writeAheadLog else { return SQLITE_OK }
        return log.pointee.pMethods.pointee.xSync(log, SQLITE_SYNC_FULL | SQLITE_SYNC_DATAONLY)
    }

    /// SQLite's own handle of the log. A handle of ours would bypass a simulated disk.
    private var writeAheadLog: UnsafeMutablePointer<sqlite3_file>? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file)
        return file?.pointee.pMethods == nil ? nil : file
    }
}
