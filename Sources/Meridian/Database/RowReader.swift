import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Finds rows in the ranges of a table, all at one timestamp, so that a row that is moving is seen exactly once.
struct RowReader: Sendable {
    let database: Database
    let end: Instant
    let timestamp: Timestamp?
    var source = Source.leaseholder

    /// Who serves the reads.
    enum Source {
        case leaseholder
        /// The nearest replica of a global table, else the leaseholder.
        case nearestOfGlobal
        case nearest
    }

    struct Found {
        var row: StoredRow
        var key: Key
        var version: Timestamp
        var range: RangeDescriptor
    }

    private static let pageRows = 2_000
    private static let pageBytes = 1 << 20

    /// The row with this key, wherever it is at home.
    func find(_ key: [Value], of table: ResolvedTable, in region: Region?) async throws -> Found? {
        if let region { return try await settled(try await get(key, table, try table.range(in: region)), key, table) }
        let homes = table.homes(nearest: database.region)
        if let near = try await get(key, table, homes[0]) {
            if let row = try await settled(near, key, table) { return row }
        }
        guard homes.count > 1 else { return nil }
        let others = homes.dropFirst()
        return try await withThrowingTaskGroup(of: Found?.self) { group in
            for range in others {
                group.addTask { try await settled(try await get(key, table, range), key, table) }
            }
            var found: Found?
            for try await candidate in group where found == nil { found = candidate }
            return found
        }
    }

    /// What one range holds under a key, arriving or not. A row that has departed is not there.
    func get(_ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor) async throws -> Found? {
        let found = try await raw(key, table, range)
        return found?.row.hasDeparted == true ? nil : found
    }

    /// The same, with the sign that a departed row leaves.
    func raw(_ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor) async throws -> Found? {
        try await raw(try table.key(key, in: range), table, range)
    }

    func raw(_ stored: Key, _ table: ResolvedTable, _ range: RangeDescriptor) async throws -> Found? {
        let result = try await database.read(
            range.id, [.get(stored)], at: timestamp, fromNearest: isNear(table), end: end)
        return try result.rows[0].first.map { try found($0, table, range) }
    }

    /// A row that is arriving counts only when it has left its old region. The caller gives a timestamp, so that both
    /// regions are asked about the same moment.
    private func settled(_ found: Found?, _ key: [Value], _ table: ResolvedTable) async throws -> Found? {
        guard let found, let arrival = found.row.arrival else { return found }
        guard let origin = table.ranges[arrival.origin] else { return found }
        guard let old = try await get(key, table, origin) else { return found }
        return old
    }

    private func isNear(_ table: ResolvedTable) -> Bool {
        switch source {
        case .leaseholder: false
        case .nearestOfGlobal: table.isGlobal
        case .nearest: true
        }
    }

    func scan(
        _ table: ResolvedTable, prefix: [Value], in region: Region?, limit: Int
    ) async throws -> [Found] {
        let ranges = try region.map { [try table.range(in: $0)] } ?? table.homes(nearest: database.region)
        let parts = try await withThrowingTaskGroup(of: (Int, [Found]).self) { group in
            for (position, range) in ranges.enumerated() {
                group.addTask { (position, try await scan(table, prefix, range, limit)) }
            }
            var parts = [[Found]](repeating: [], count: ranges.count)
            for try await (position, rows) in group { parts[position] = rows }
            return parts
        }
        var rows: [Found] = []
        for found in parts.joined() where rows.count < limit && !found.row.hasDeparted {
            guard found.row.arrival != nil else {
                rows.append(found)
                continue
            }
            let key = table.schema.keyValues(of: found.row.values)
            if let row = try await settled(found, key, table), row.range.id == found.range.id { rows.append(row) }
        }
        return rows
    }

    private func scan(
        _ table: ResolvedTable, _ prefix: [Value], _ range: RangeDescriptor, _ limit: Int
    ) async throws -> [Found] {
        var span = try table.span(prefix, in: range)
        var rows: [Found] = []
        var at = timestamp
        while rows.count < limit {
            let count = min(Self.pageRows, limit - rows.count)
            let result = try await database.read(
                range.id, [.scan(span, limit: count, byteLimit: Self.pageBytes)], at: at, fromNearest: isNear(table),
                end: end)
            // Later pages are of the same moment.
            at = result.timestamp
            for row in result.rows[0] { rows.append(try found(row, table, range)) }
            let bytes = result.rows[0].reduce(0) { $0 + ($1.version.value?.count ?? 0) }
            // A page that is neither full nor long is the last one.
            guard let last = result.rows[0].last, result.rows[0].count == count || bytes >= Self.pageBytes else {
                break
            }
            if let upper = span.upper, last.key.successor >= upper { break }
            span = KeySpan(lower: last.key.successor, upper: span.upper)
        }
        return rows
    }

    private func found(
        _ row: KeyedVersion, _ table: ResolvedTable, _ range: RangeDescriptor
    ) throws(MeridianError) -> Found {
        Found(
            row: try StoredRow(row.version.value ?? [], table: table), key: row.key, version: row.version.timestamp,
            range: range)
    }
}
