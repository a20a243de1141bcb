import GRDB

/// The SQLite that this process is linked to: figures and bug reports name it.
package enum SQLiteLibrary {
    package static let version: String = {
        let found = try? DatabaseQueue().read { try String.fetchOne($0, sql: "SELECT sqlite_version()") }
        return found ?? "unknown"
    }()
}
