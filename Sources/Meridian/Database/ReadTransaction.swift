import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Reads as of one timestamp.
public final class ReadTransaction: Sendable {
    private let database: Database
    private let end: Instant
    private let timestamp = Mutex<Timestamp?>(nil)

    init(database: Database, end: Instant) {
        self.database = database
        self.end = end
    }

    /// The row with this key. In a table that is regional by row, the client's own region is asked first, then the
    /// others at once; name the region to ask only there.
    public func get<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws -> Row? {
        let resolved = try await database.resolve(table, end: end)
        let reader = try await reader()
        let found = try await reader.find(try table.keyValues(repeat each key), of: resolved, in: region)
        return try found.map { try table.decode($0.row) }
    }

    /// The rows whose keys begin with the given parts, in key order within each region.
    /// - Parameters:
    ///   - prefix: the first parts of the key; none reads all rows.
    ///   - region: reads the rows of this home region only.
    ///   - limit: the most rows to return.
    public func scan<Row, each Part: Encodable & Sendable>(
        _ table: Table<Row>, prefix: repeat each Part, in region: Region? = nil, limit: Int = .max
    ) async throws -> [Row] {
        let resolved = try await database.resolve(table, end: end)
        let reader = try await reader()
        let rows = try await reader.scan(
            resolved, prefix: try table.keyPrefixValues(repeat each prefix), in: region, limit: limit)
        return try rows.map { try table.decode($0.row) }
    }

    /// The timestamp of all reads: the first read's.
    private func reader() async throws -> RowReader {
        if let timestamp = timestamp.withLock({ $0 }) {
            return RowReader(database: database, end: end, timestamp: timestamp)
        }
        let now = try await database.readTimestamp(end: end)
        let fixed = timestamp.withLock { timestamp in
            let chosen = timestamp ?? now
            timestamp = chosen
            return chosen
        }
        return RowReader(database: database, end: end, timestamp: fixed)
    }
}
