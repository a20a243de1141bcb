import GRDB
import GRDBSQLite
import MeridianCore

/// What a SQLite result code means to us. Messages name the file and the operation, never SQL arguments.
enum SQLiteErrors {
    /// The typed error for a result code (primary or extended).
    static func error(_ code: Int32, _ file: String, _ operation: String) -> MeridianError {
        let text = "\(file): \(operation): \(String(cString: sqlite3_errstr(code))) (SQLite \(code))"
        switch code & 0xFF {
        case SQLITE_FULL:
            return MeridianError(.diskFull, text, retry: .after(.seconds(1)))
        case SQLITE_CORRUPT:
            return MeridianError(.corruption, text)
        case SQLITE_NOTADB:
            return MeridianError(.notADatabase, text)
        case SQLITE_BUSY, SQLITE_LOCKED:
            return MeridianError(.directoryInUse, text, retry: .after(.seconds(1)))
        default:
            return MeridianError(.storageFailed, text)
        }
    }

    /// Runs `body` and turns GRDB's errors into ours.
    static func translate<Result>(
        _ file: String, _ operation: String, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let failure as DatabaseError {
            throw error(failure.extendedResultCode.rawValue, file, operation)
        }
    }
}
