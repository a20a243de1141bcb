import MeridianCore
import Synchronization

/// Making sure that what is gone is gone from the bytes as well: SQLite leaves them in free space until it needs that.
extension SQLiteStateStore {
    package func scrub() throws -> Bool {
        try loadIfNeeded()
        guard !SnapshotStaging.isAnyThere(in: directory) else { return false }
        return try file.withLock { file in
            try flush(file)
            return try noteFailure(file) { try file.connection.scrub() }
        }
    }
}
