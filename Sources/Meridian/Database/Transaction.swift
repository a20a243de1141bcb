import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Reads and buffered writes that commit together: rows of any tables, homed in any regions. Valid inside of its
/// closure only.
///
/// All reads are as of one timestamp, which the first of them fixes. At the commit every range checks that nobody has
/// written since what was read there, so the transaction is as if it had happened at one moment, the receipt's.
public final class Transaction: Sendable {
    let database: Database
    let deadline: Instant
    let buffer = Mutex(WriteBuffer())

    init(database: Database, end: Instant) {
        self.database = database
        self.deadline = end
    }

    // MARK: Writes

    /// Adds a row.
    /// - Throws: `.unknownRegion`, `.typeMismatch`, `.keyTooLarge`, `.rowTooLarge`, `.transactionTooLarge`; the commit
    ///   then throws `.duplicateKey` if the key is taken in the row's region.
    public func insert<Row>(_ row: Row, into table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isActiveActive { return try await converge(target, expecting: .absent) }
        try buffer.withLock { buffer in
            try buffer.touch(target.range, table: table.name)
            switch buffer.values[target.key] {
            case .some(.some): throw target.duplicate
            case .some(.none): break
            case .none: buffer.require(.absent(target.key), in: target.range.id)
            }
            try buffer.set(target.key, target.encoded, in: target.range, table: table.name)
        }
    }

    /// Replaces a row by one with the same key. If its region column differs, the row moves to that region. In a table
    /// that is regional by row it is looked for as in `get` without a region.
    /// - Throws: as `insert`, and `.rowNotFound` (possibly at the commit), `.jurisdictionViolation` for a move of a
    ///   restricted row out of its jurisdiction.
    public func update<Row>(_ row: Row, in table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isActiveActive { return try await converge(target, expecting: .present) }
        if target.resolved.isRegionalByRow, !isBuffered(target.key) {
            // Where the row says that it is at home, it mostly is.
            let found = try await find(target.keyValues, of: target.resolved, first: target.range)
            guard let found else { throw target.missing }
            guard found.range.id == target.range.id else { return try await move(target, from: found) }
        }
        try buffer.withLock { buffer in
            try buffer.touch(target.range, table: table.name)
            switch buffer.values[target.key] {
            case .some(.some): break
            case .some(.none): throw target.missing
            case .none: buffer.require(.present(target.key), in: target.range.id)
            }
            try buffer.set(target.key, target.encoded, in: target.range, table: table.name)
        }
    }

    /// Adds a row, or replaces the one with its key in the same region. A row with this key in another region is
    /// another row: in a table that is regional by row, the region is part of a row's identity.
    public func upsert<Row>(_ row: Row, into table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isActiveActive { return try await converge(target, expecting: .either) }
        try buffer.withLock { buffer in
            try buffer.touch(target.range, table: table.name)
            try buffer.set(target.key, target.encoded, in: target.range, table: table.name)
        }
    }

    /// Removes the row with this key.
    /// - Parameter region: the row's home region, in a table that is regional by row; without it the row is looked
    ///   for.
    /// - Throws: `.rowNotFound` (possibly at the commit), `.transactionTooLarge`.
    public func delete<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws {
        let resolved = try await database.resolve(table, end: deadline)
        let values = try table.keyValues(repeat each key)
        let range: RangeDescriptor
        if let region { range = try resolved.range(in: region) } else { range = try await locate(values, resolved) }
        let stored = try resolved.key(values, in: range)
        if resolved.isActiveActive { return try await convergeDeletion(values, resolved, range, stored) }
        try buffer.withLock { buffer in
            try buffer.touch(range, table: table.name)
            switch buffer.values[stored] {
            case .some(.some): break
            case .some(.none): throw Target.missing(table.name)
            case .none: buffer.require(.present(stored), in: range.id)
            }
            try buffer.set(stored, nil, in: range, table: table.name)
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
    ///   for, in the client's own region first and only then in all others. What each has answered must still be so at
    ///   the commit, so a row that is found elsewhere makes all of these regions take part in it.
    public func get<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws -> Row? {
        let resolved = try await database.resolve(table, end: deadline)
        let values = try table.keyValues(repeat each key)
        let found: RowReader.Found?
        if let region {
            found = try await row(values, of: resolved, in: try resolved.range(in: region))
        } else {
            found = try await find(values, of: resolved)
        }
        return try found.map { try table.decode($0) }
    }

    /// The rows of one home region whose keys begin with the given parts, with this transaction's own writes. If
    /// anybody adds, changes or removes such a row before the commit, the closure runs again; with a `limit` that was
    /// reached, a row up to the last one that was returned.
    /// - Parameters:
    ///   - region: required in a table that is regional by row; the client's own region if not given.
    ///   - limit: the most rows to return; none if it is not positive.
    public func scan<Row, each Part: Encodable & Sendable>(
        _ table: Table<Row>, prefix: repeat each Part, in region: Region? = nil, limit: Int = .max
    ) async throws -> [Row] {
        let resolved = try await database.resolve(table, end: deadline)
        let range = try region.map { try resolved.range(in: $0) } ?? resolved.homes(nearest: database.region)[0]
        let span = try resolved.span(try table.keyPrefixValues(repeat each prefix), in: range)
        return try await scan(span, of: resolved, in: range, limit: limit).map { try table.decode($0) }
    }

    func end() { buffer.withLock { $0.isEnded = true } }
}
