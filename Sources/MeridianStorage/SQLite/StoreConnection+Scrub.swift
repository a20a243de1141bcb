import GRDB
import GRDBSQLite
import MeridianCore

extension StoreConnection {
    /// Writes the whole file anew, without free space in it, and empties the write-ahead log.
    ///
    /// `VACUUM` copies what lives into a temporary file of SQLite's, which has no name and is gone with the call, and
    /// from there through the log into the file. `secure_delete` would leave what pages that were rebalanced hold in
    /// their gaps. HAZARD: blocks that the file system or the disk has freed are beyond us.
    /// - Returns: `false` while another connection reads an older picture: then old pages may still stand in the log.
    func scrub() throws -> Bool {
        if let failure { throw failure }
        do {
            try access("scrub") { try $0.execute(sql: "VACUUM") }
            return try queue.inDatabase { _ in
                let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
                if code & 0xFF == SQLITE_BUSY { return false }
                guard code == SQLITE_OK else { throw SQLiteErrors.error(code, file, "scrub") }
                return true
            }
        } catch {
            poison(after: error)
            throw error
        }
    }
}
