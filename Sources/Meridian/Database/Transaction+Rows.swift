import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Where a transaction's rows are, and what it notes of what it reads.
extension Transaction {
    /// A row on its way into the buffer.
    struct Target {
        var resolved: ResolvedTable
        var range: RangeDescriptor
        var key: Key
        var keyValues: [Value]
        var values: [Value]
        /// Empty in an active-active table, which stores records.
        var encoded: [UInt8]

        var duplicate: MeridianError {
            MeridianError(.duplicateKey, "table \(resolved.name): the transaction has already written this key")
        }
        var missing: MeridianError { Self.missing(resolved.name) }

        func draft(if condition: Precondition?) -> WriteBuffer.Draft {
            .init(key: key, value: encoded, range: range, condition: condition)
        }

        static func missing(_ table: String) -> MeridianError {
            MeridianError(.rowNotFound, "table \(table): no row has this key; insert it first")
        }
    }

    func target<Row>(_ row: Row, _ table: Table<Row>) async throws -> Target {
        let resolved: ResolvedTable
        if let known = known(table.name) { resolved = known } else { resolved = try await resolve(table) }
        let values = try table.encode(row)
        let range = try resolved.range(ofRow: values, for: database.region)
        let keyValues = resolved.schema.keyValues(of: values)
        return Target(
            resolved: resolved, range: range, key: try resolved.key(keyValues, in: range), keyValues: keyValues,
            values: values, encoded: resolved.isActiveActive ? [] : try RowCoding.encode(values, name: table.name))
    }

    /// Whether this transaction has written a row there.
    func isAlive(_ key: Key) throws -> Bool {
        let scope = scope
        return try buffer.withLock { try $0.look(at: key, from: scope)?.value != nil }
    }

    /// The row changes its home: it goes there and comes here, in one commit.
    /// - Returns: `false` where it may be elsewhere by now: a child task of the closure has written it since.
    func move(_ target: Target, from found: RowReader.Found, unlessWrittenSince mark: UInt64) throws -> Bool {
        let table = target.resolved
        let laws = [found.range.partition, target.range.partition].map { table.topology.jurisdiction(of: $0) }
        if table.record.descriptor.placement == .restricted, laws[0] != laws[1] {
            throw MeridianError(
                .jurisdictionViolation,
                "table \(table.name) is restricted: a row at home in \(found.range.partition) (\(laws[0])) cannot "
                    + "move to \(target.range.partition) "
                    + "(\(laws[1])). Delete it there and insert a new one, if the law allows")
        }
        let scope = scope
        return try buffer.withLock { buffer in
            let there = try buffer.look(at: found.key, from: scope)
            let here = try buffer.look(at: target.key, from: scope)
            if buffer.isWritten(found.key, since: mark, from: scope) || here?.value != nil { return false }
            let departure = WriteBuffer.Draft(
                key: found.key, value: nil, range: found.range, condition: there == nil ? .present(found.key) : nil)
            let arrival = target.draft(if: here == nil ? .absent(target.key) : nil)
            try buffer.write([departure, arrival], table: table.name, from: scope)
            return true
        }
    }

    /// The range that holds a row, or where it would be.
    func locate(_ key: [Value], _ table: ResolvedTable) async throws -> RangeDescriptor {
        guard table.isRegionalByRow else { return table.homes(nearest: database.region)[0] }
        return try await find(key, of: table)?.range ?? table.homes(nearest: database.region)[0]
    }

    /// The row with this key, wherever it is at home, with this transaction's own writes.
    ///
    /// One region is asked first, the client's own if no other is named. Only a row that is not there is looked for
    /// elsewhere, and then what each region has answered must still be so at the commit.
    func find(
        _ key: [Value], of table: ResolvedTable, first: RangeDescriptor? = nil
    ) async throws -> RowReader.Found? {
        let scope = scope
        let stages = table.stages(of: database.region, first: first?.home, rules: database.host.rules)
        for range in stages.joined() {
            let stored = try table.key(key, in: range)
            let own = try buffer.withLock { try $0.look(at: stored, from: scope) }
            if let value = own?.value { return try RowReader.Found(stored, value, table, range) }
        }
        for stage in stages where !stage.isEmpty {
            let found = try await withThrowingTaskGroup(of: RowReader.Found?.self) { group in
                for range in stage { group.addTask { try await self.row(key, of: table, in: range) } }
                var found: RowReader.Found?
                for try await candidate in group { found = found ?? candidate }
                return found
            }
            if let found { return found }
        }
        return nil
    }

    /// The row with this key in one home region, with this transaction's own writes.
    func row(
        _ key: [Value], of table: ResolvedTable, in range: RangeDescriptor
    ) async throws -> RowReader.Found? {
        let stored = try table.key(key, in: range)
        let scope = scope
        let own = try buffer.withLock { buffer in
            try buffer.touch(range, table: table.name)
            return try buffer.look(at: stored, from: scope)
        }
        if let own { return try own.value.flatMap { try RowReader.Found(stored, $0, table, range) } }
        // All reads are of one moment, also those that child tasks make at once.
        let timestamp = try await readTimestamp()
        let result = try await database.read(range.id, [.get(stored)], at: timestamp, end: deadline)
        try buffer.withLock {
            try $0.note(.unchanged(stored, since: timestamp), in: range, table: table.name, from: scope)
        }
        return try result.row(0).flatMap { row in
            try row.version.value.flatMap { try RowReader.Found(stored, $0, table, range) }
        }
    }

    /// The first rows of a span, with this transaction's own writes.
    ///
    /// What it depends on are the rows up to the last one that it returns, and the gaps between them: that is what the
    /// commit checks. Where it has come to the end of the span, it is all of it.
    func scan(
        _ span: KeySpan, of table: ResolvedTable, in range: RangeDescriptor, limit: Int
    ) async throws -> [RowReader.Found] {
        let scope = scope
        try buffer.withLock { try $0.touch(range, table: table.name) }
        guard limit > 0 else { return [] }
        let timestamp = try await readTimestamp()
        let reader = RowReader(database: database, end: deadline, timestamp: timestamp)
        var stored: [Key: RowReader.Found] = [:]
        var found: [RowReader.Found] = []
        try await reader.visit(span, of: table, in: range, wanted: limit) { page, covered in
            for row in page { stored[row.key] = row }
            let isEnd = covered == span
            guard isEnd || stored.count >= limit else { return true }
            found = try buffer.withLock { buffer in
                var rows = stored
                for (key, write) in try buffer.look(in: covered, from: scope) {
                    rows[key] = try write.value.flatMap { try RowReader.Found(key, $0, table, range) }
                }
                let first = rows.values.sorted { $0.key < $1.key }.prefix(limit)
                guard isEnd || first.count == limit else { return [] }
                let seen = first.count == limit ? covered.upTo(first.last?.key.successor) : covered
                try buffer.note(
                    .unchangedSpan(seen, since: timestamp), in: range, table: table.name, from: scope)
                return Array(first)
            }
            return found.isEmpty
        }
        return found
    }

    func readTimestamp() async throws -> Timestamp {
        if let timestamp = buffer.withLock({ $0.timestamp }) { return timestamp }
        let now = try await database.readTimestamp(end: deadline)
        return buffer.withLock { buffer in
            let fixed = buffer.timestamp ?? now
            buffer.timestamp = fixed
            return fixed
        }
    }
}
