import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Finds rows in the ranges of a table, all at one timestamp: a row that changes its home does so in one commit, so it
/// is seen exactly once.
struct RowReader: Sendable {
    let database: Database
    var end: Instant
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
        var row: [Value]
        var key: Key
        var range: RangeDescriptor
        /// Of a row of an active-active table of which several values are kept.
        var siblings: Siblings?

        /// `nil` for what an active-active table keeps of a deleted row.
        init?(
            _ key: Key, _ value: [UInt8], _ table: ResolvedTable, _ range: RangeDescriptor
        ) throws(MeridianError) {
            row = try RowCoding.decode(value, name: table.name)
            if let shape = table.shape {
                let flags = RecordCoding.flags(of: row) ?? []
                guard flags.contains(.isAlive) else { return nil }
                if flags.contains(.hasSiblings) {
                    siblings = Siblings(
                        record: try RecordCoding.decode(row, shape, name: table.name), shape: shape)
                }
                row.removeLast(min(RecordCoding.extraValues, row.count))
            }
            guard row.count == table.schema.columns.count else {
                throw MeridianError(.corruption, "a row of table \(table.name) has \(row.count) values")
            }
            self.key = key
            self.range = range
        }
    }

    /// The row with this key, wherever it is at home.
    func find(_ key: [Value], of table: ResolvedTable, in region: Region?) async throws -> Found? {
        if let region { return try await get(key, table, try table.range(in: region)) }
        for stage in table.stages(near: database.region, for: database.client, rules: database.host.rules)
        where !stage.isEmpty {
            let found = try await withThrowingTaskGroup(of: Found?.self) { group in
                for range in stage { group.addTask { try await get(key, table, range) } }
                var found: Found?
                for try await candidate in group where found == nil { found = candidate }
                return found
            }
            if let found { return found }
        }
        return nil
    }

    private func get(_ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor) async throws -> Found? {
        let stored = try table.key(key, in: range)
        let result = try await database.read(
            range.id, [.get(stored)], at: timestamp, fromNearest: isNear(table), end: end)
        return try result.row(0).flatMap { try found($0, table, range) }
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
        let ranges = try ranges(of: table, prefix: prefix, in: region)
        guard limit > 0 else { return [] }
        let parts = try await withThrowingTaskGroup(of: (Int, [Found]).self) { group in
            for (position, range) in ranges.enumerated() {
                group.addTask { (position, try await scan(table, prefix, range, limit)) }
            }
            var parts = [[Found]](repeating: [], count: ranges.count)
            for try await (position, rows) in group { parts[position] = rows }
            return parts
        }
        return Array(parts.joined().prefix(limit))
    }

    /// The first parts of keys are told like keys; the bounds of a table are not secret.
    /// - Throws: `.jurisdictionViolation` where that would leave rows out.
    func ranges(
        of table: ResolvedTable, prefix: [Value], in region: Region?
    ) throws(MeridianError) -> [RangeDescriptor] {
        if let region { return [try table.range(in: region)] }
        if prefix.isEmpty { return table.homes(nearest: database.region) }
        let ranges = table.stages(near: database.region, for: database.client, rules: database.host.rules).flatMap(
            \.self)
        guard ranges.count == table.record.ranges.count else {
            throw MeridianError(
                .jurisdictionViolation,
                "table \(table.name) has rows under laws between which no keys are looked for; name the region to scan")
        }
        return ranges
    }

    private func scan(
        _ table: ResolvedTable, _ prefix: [Value], _ range: RangeDescriptor, _ limit: Int
    ) async throws -> [Found] {
        var rows: [Found] = []
        try await visit(try table.span(prefix, in: range), of: table, in: range, wanted: limit) { page, _ in
            rows += page
            return rows.count < limit
        }
        return Array(rows.prefix(limit))
    }

    /// Visits the rows of a span in key order, a page at a time, until the visitor returns false or nothing is left.
    /// - Parameters:
    ///   - wanted: how many rows are likely to be enough.
    ///   - visit: gets the rows of a page, and the part of the span of which it has got all rows by then.
    func visit(
        _ span: KeySpan, of table: ResolvedTable, in range: RangeDescriptor, wanted: Int,
        _ visit: ([Found], _ covered: KeySpan) throws -> Bool
    ) async throws {
        guard wanted > 0 else { return }
        // What an active-active table keeps of deleted rows stands in pages, too.
        let count = table.isActiveActive ? Database.page.rows : min(Database.page.rows, wanted)
        let scan = ReadOperation.scan(span, limit: count, byteLimit: Database.page.bytes)
        try await database.visitPages(
            of: scan, in: range.id, at: timestamp, fromNearest: isNear(table), end: end
        ) { page in
            let next: Key? = if case .key(let key)? = page.resume { key } else { nil }
            return try visit(try page.rows.compactMap { try found($0, table, range) }, span.upTo(next))
        }
    }

    private func found(
        _ row: KeyedVersion, _ table: ResolvedTable, _ range: RangeDescriptor
    ) throws(MeridianError) -> Found? {
        guard let value = row.version.value else { return nil }
        return try Found(row.key, value, table, range)
    }
}
