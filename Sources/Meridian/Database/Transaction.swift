import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Reads and buffered writes that commit together, in one table and home region. Valid inside of its closure only.
public final class Transaction: Sendable {
    private let database: Database
    private let deadline: Instant
    private let buffer = Mutex(WriteBuffer())

    init(database: Database, end: Instant) {
        self.database = database
        self.deadline = end
    }

    // MARK: Writes

    /// Adds a row.
    /// - Throws: `.unknownRegion`, `.typeMismatch`, `.keyTooLarge`, `.rowTooLarge`, `.multipleRanges`; the commit then
    ///   throws `.duplicateKey` if the key is taken in the row's region.
    public func insert<Row>(_ row: Row, into table: Table<Row>) async throws {
        let target = try await target(row, table)
        try buffer.withLock { buffer in
            try buffer.bind(target.range, table: table.name)
            switch buffer.values[target.key] {
            case .some(.some): throw target.duplicate
            case .some(.none): break
            case .none: buffer.preconditions.append(.absent(target.key))
            }
            try buffer.set(target.key, target.encoded, table: table.name)
        }
    }

    /// Replaces a row by one with the same key. If its region column differs, the row moves to that region; it must
    /// then be the only row of its transaction.
    /// - Throws: as `insert`, and `.rowNotFound` (possibly at the commit), `.jurisdictionViolation` for a move of a
    ///   restricted row out of its jurisdiction.
    public func update<Row>(_ row: Row, in table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isRegionalByRow, !isBuffered(target.key) {
            guard try await isAtHome(target) else { return try await move(target) }
        }
        try buffer.withLock { buffer in
            try buffer.bind(target.range, table: table.name)
            switch buffer.values[target.key] {
            case .some(.some): break
            case .some(.none): throw target.missing
            case .none: buffer.preconditions.append(.present(target.key))
            }
            try buffer.set(target.key, target.encoded, table: table.name)
        }
    }

    /// Adds a row, or replaces the one with its key in the same region. A row with this key in another region is
    /// another row: in a table that is regional by row, the region is part of a row's identity.
    public func upsert<Row>(_ row: Row, into table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isRegionalByRow, !isBuffered(target.key) {
            // A row that is just arriving must be here before it can be replaced.
            _ = try await isAtHome(target)
        }
        try buffer.withLock { buffer in
            try buffer.bind(target.range, table: table.name)
            try buffer.set(target.key, target.encoded, table: table.name)
        }
    }

    /// Removes the row with this key.
    /// - Parameter region: the row's home region, in a table that is regional by row; without it the row is looked
    ///   for.
    /// - Throws: `.rowNotFound` (possibly at the commit), `.multipleRanges`.
    public func delete<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws {
        let resolved = try await database.resolve(table, end: deadline)
        let values = try table.keyValues(repeat each key)
        let range = try await locate(values, resolved, region)
        let stored = try resolved.key(values, in: range)
        if resolved.isRegionalByRow, !isBuffered(stored), !(try await isAtHome(values, resolved, range)) {
            throw Target.missing(table.name)
        }
        try buffer.withLock { buffer in
            try buffer.bind(range, table: table.name)
            switch buffer.values[stored] {
            case .some(.some): break
            case .some(.none): throw Target.missing(table.name)
            case .none: buffer.preconditions.append(.present(stored))
            }
            try buffer.set(stored, nil, table: table.name)
        }
    }

    // MARK: Savepoints

    /// Runs a part of the transaction. If it throws, what it wrote is undone and the error passed on; who catches it
    /// can go on with the transaction as it was before. Savepoints nest.
    ///
    /// What the part has read still counts: if anybody writes it before the commit, the whole closure runs again. What
    /// child tasks write at the same time outside of the part is undone with it.
    ///
    /// ```swift
    /// try? await transaction.savepoint {
    ///     try await transaction.insert(order, into: orders)
    ///     guard try await isAffordable(order, transaction) else { throw OutOfFunds() }
    /// }
    /// ```
    public func savepoint<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async throws -> Result {
        let mark = buffer.withLock { $0 }
        do {
            return try await body()
        } catch {
            buffer.withLock { $0.rollBack(to: mark) }
            throw error
        }
    }

    // MARK: Reads

    /// The row with this key, with this transaction's own writes. If anybody writes it before the commit, the closure
    /// runs again.
    /// - Parameter region: the row's home region, in a table that is regional by row; without it the row is looked
    ///   for.
    public func get<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws -> Row? {
        let resolved = try await database.resolve(table, end: deadline)
        let values = try table.keyValues(repeat each key)
        let range = try await locate(values, resolved, region)
        let stored = try resolved.key(values, in: range)
        let own = try buffer.withLock { buffer in
            try buffer.bind(range, table: table.name)
            return buffer.values[stored]
        }
        if let own { return try own.map { try table.decode(StoredRow($0, table: resolved).values) } }
        let result = try await read(.get(stored), range)
        buffer.withLock { $0.preconditions.append(.unchanged(stored, since: result.timestamp)) }
        guard let value = result.rows[0].first?.version.value else { return nil }
        let row = try StoredRow(value, table: resolved)
        if row.hasDeparted { return nil }
        guard row.arrival == nil else {
            // The row is just moving here: it is helped along, and the closure runs again.
            _ = try await isAtHome(values, resolved, range)
            throw MeridianError(
                .conflict, "table \(table.name): the row is moving between regions; run the closure again",
                retry: .immediately)
        }
        return try table.decode(row.values)
    }

    /// The rows of one home region whose keys begin with the given parts, with this transaction's own writes. If
    /// anybody adds, changes or removes such a row before the commit, the closure runs again.
    /// - Parameter region: required in a table that is regional by row; the client's own region if not given.
    public func scan<Row, each Part: Encodable & Sendable>(
        _ table: Table<Row>, prefix: repeat each Part, in region: Region? = nil, limit: Int = .max
    ) async throws -> [Row] {
        let resolved = try await database.resolve(table, end: deadline)
        let range = try resolved.range(in: region ?? database.region)
        let span = try resolved.span(try table.keyPrefixValues(repeat each prefix), in: range)
        try buffer.withLock { try $0.bind(range, table: table.name) }
        // The timestamp is fixed before the first page, so that all pages are of one moment.
        let timestamp = try await readTimestamp(range)
        let reader = RowReader(database: database, end: deadline, timestamp: timestamp)
        let found = try await reader.scan(
            resolved, prefix: try table.keyPrefixValues(repeat each prefix), in: range.home, limit: .max)
        var rows = Dictionary(uniqueKeysWithValues: found.map { ($0.key, $0.row.values) })
        let own = buffer.withLock { buffer in
            buffer.preconditions.append(.unchangedSpan(span, since: timestamp))
            return buffer.order.filter { span.contains($0) }.map { ($0, buffer.values[$0] ?? nil) }
        }
        for (key, value) in own { rows[key] = try value.map { try StoredRow($0, table: resolved).values } }
        return try rows.sorted { $0.key < $1.key }.prefix(limit).map { try table.decode($0.value) }
    }

    // MARK: The end

    func end() { buffer.withLock { $0.isEnded = true } }

    func commit(_ id: RequestID, mayBeRepeated: Bool, attempts: Int) async throws -> Receipt {
        let start = database.host.now
        let buffer = buffer.withLock { buffer in
            buffer.isEnded = true
            return buffer
        }
        if let move = buffer.move {
            let timestamp = try await move.run(database, end: deadline)
            return Self.receipt(
                id, timestamp, total: .nanoseconds(database.host.now.nanoseconds(since: start)), attempts: attempts)
        }
        guard let range = buffer.range, !buffer.isEmpty else {
            guard let timestamp = buffer.timestamp else {
                let now = try await database.readTimestamp(end: deadline)
                return Self.receipt(id, now, total: .zero, attempts: attempts)
            }
            return Self.receipt(id, timestamp, total: .zero, attempts: attempts)
        }
        let request = CommitRequest(id: id, preconditions: buffer.preconditions, mutations: buffer.mutations)
        do {
            let (result, route) = try await database.commit(
                range.id, request, end: deadline, mayBeRepeated: mayBeRepeated)
            var receipt = Self.receipt(
                id, result.timestamp,
                total: .nanoseconds(database.host.now.nanoseconds(since: start)), attempts: attempts)
            receipt.latency.route = .nanoseconds(route)
            receipt.latency.locks = .nanoseconds(result.locksNanoseconds)
            receipt.latency.log = .nanoseconds(result.logNanoseconds)
            receipt.latency.quorum = .nanoseconds(result.quorumNanoseconds)
            receipt.latency.commitWait = .nanoseconds(result.commitWaitNanoseconds)
            return receipt
        } catch var error as MeridianError {
            if error.code == .duplicateKey, error.commitOutcome == .notCommitted,
                try await clearedSigns(buffer, range)
            {
                throw MeridianError(
                    .conflict,
                    "table \(buffer.tableName ?? "?"): a row has just left under this key; run the closure again",
                    retry: .immediately)
            }
            if let name = buffer.tableName, !error.message.hasPrefix("table ") {
                error.message = "table \(name): \(error.message)"
            }
            throw error
        }
    }

    /// What looks like a duplicate may be the sign that a row left behind when it moved away.
    private func clearedSigns(_ buffer: WriteBuffer, _ range: RangeDescriptor) async throws -> Bool {
        guard let name = buffer.tableName, let table = database.host.tables[name], table.isRegionalByRow else {
            return false
        }
        var isCleared = false
        for case .absent(let key) in buffer.preconditions {
            if try await RowMove.clearSign(at: key, table, range, database, end: deadline) { isCleared = true }
        }
        return isCleared
    }

    private static func receipt(
        _ id: RequestID, _ timestamp: Timestamp, total: Duration, attempts: Int
    ) -> Receipt {
        Receipt(
            id: id, timestamp: timestamp,
            latency: .init(
                total: total, route: .zero, locks: .zero, log: .zero, quorum: .zero, commitWait: .zero),
            attempts: attempts)
    }

    // MARK: Where rows are

    /// A row on its way into the buffer.
    private struct Target {
        var resolved: ResolvedTable
        var range: RangeDescriptor
        var key: Key
        var keyValues: [Value]
        var row: StoredRow
        var encoded: [UInt8]

        var duplicate: MeridianError {
            MeridianError(.duplicateKey, "table \(resolved.name): the transaction has already written this key")
        }
        var missing: MeridianError { Self.missing(resolved.name) }

        static func missing(_ table: String) -> MeridianError {
            MeridianError(.rowNotFound, "table \(table): no row has this key; insert it first")
        }
    }

    private func target<Row>(_ row: Row, _ table: Table<Row>) async throws -> Target {
        let resolved: ResolvedTable
        if let known = database.host.tables[table.name] {
            resolved = known
        } else {
            resolved = try await database.resolve(table, end: deadline)
        }
        let values = try table.encode(row)
        let range = try resolved.range(ofRow: values)
        let keyValues = resolved.schema.keyValues(of: values)
        let stored = StoredRow(values: values)
        return Target(
            resolved: resolved, range: range, key: try resolved.key(keyValues, in: range), keyValues: keyValues,
            row: stored, encoded: try stored.encoded(table: resolved))
    }

    private func isBuffered(_ key: Key) -> Bool { buffer.withLock { $0.values[key] != nil } }

    /// Whether the row lies in its region. One that is arriving is helped to arrive.
    private func isAtHome(_ target: Target) async throws -> Bool {
        try await isAtHome(target.keyValues, target.resolved, target.range)
    }

    private func isAtHome(
        _ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor
    ) async throws -> Bool {
        let reader = RowReader(database: database, end: deadline, timestamp: nil)
        guard let found = try await reader.get(key, table, range) else { return false }
        guard found.row.arrival != nil else { return true }
        try await RowMove.finish(found, key, table, database, end: deadline)
        return try await reader.get(key, table, range) != nil
    }

    /// The row is at home in another region, or nowhere.
    private func move(_ target: Target) async throws {
        let now = try await database.readTimestamp(end: deadline)
        let reader = RowReader(database: database, end: deadline, timestamp: now)
        guard let found = try await reader.find(target.keyValues, of: target.resolved, in: nil) else {
            throw target.missing
        }
        let move = try RowMove(
            table: target.resolved, key: target.keyValues, from: found, to: target.range, row: target.row)
        try buffer.withLock { buffer in
            guard buffer.isEmpty, buffer.range == nil else { throw WriteBuffer.moveAlone(target.resolved.name) }
            buffer.move = move
        }
    }

    /// The range that holds a row, or where it would be.
    private func locate(
        _ key: [Value], _ table: ResolvedTable, _ region: Region?
    ) async throws -> RangeDescriptor {
        if let region { return try table.range(in: region) }
        guard table.isRegionalByRow else { return table.record.ranges[0] }
        let bound = buffer.withLock { buffer in buffer.range }
        if let bound, bound.table == table.id, isBuffered(try table.key(key, in: bound)) { return bound }
        let now = try await database.readTimestamp(end: deadline)
        let reader = RowReader(database: database, end: deadline, timestamp: now)
        if let found = try await reader.find(key, of: table, in: nil) { return found.range }
        return bound ?? table.homes(nearest: database.region)[0]
    }

    private func readTimestamp(_ range: RangeDescriptor) async throws -> Timestamp {
        if let timestamp = buffer.withLock({ $0.timestamp }) { return timestamp }
        return try await read(nil, range).timestamp
    }

    /// Reads at the transaction's timestamp, which the first read fixes.
    private func read(_ operation: ReadOperation?, _ range: RangeDescriptor) async throws -> ReadResult {
        let timestamp = buffer.withLock { $0.timestamp }
        let result = try await database.read(
            range.id, operation.map { [$0] } ?? [], at: timestamp, end: deadline)
        buffer.withLock { $0.timestamp = $0.timestamp ?? result.timestamp }
        return result
    }
}
