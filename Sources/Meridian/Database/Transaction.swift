import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Reads and buffered writes that commit together: rows of any tables, homed in any regions. Valid inside of its
/// closure only.
///
/// All reads are as of one timestamp, which the first of them fixes. At the commit every range checks that nobody has
/// written since what was read there, so the transaction is as if it had happened at one moment, the receipt's.
///
/// Child tasks of the closure may use it at the same time. They share it as they would share an actor: each call is
/// whole, and a row that two of them read and then write has what was written last. What must be whole over several
/// calls goes into a `savepoint`.
public final class Transaction: Sendable {
    let database: Database
    let deadline: Instant
    let buffer = Mutex(WriteBuffer())
    private let tables = TablesUsed()

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
        let scope = scope
        try buffer.withLock { buffer in
            let own = try buffer.look(at: target.key, from: scope)
            if own?.value != nil { throw target.duplicate }
            try buffer.write([target.draft(if: own == nil ? .absent(target.key) : nil)], table: table.name, from: scope)
        }
    }

    /// Replaces a row by one with the same key. If its region column differs, the row moves to that region. In a table
    /// that is regional by row it is looked for as in `get` without a region.
    /// - Throws: as `insert`, and `.rowNotFound` (possibly at the commit), `.jurisdictionViolation` for a move of a
    ///   restricted row out of its jurisdiction.
    public func update<Row>(_ row: Row, in table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isActiveActive { return try await converge(target, expecting: .present) }
        let scope = scope
        while true {
            let mark = buffer.withLock(\.mark)
            if target.resolved.isRegionalByRow, try !isAlive(target.key) {
                // Where the row says that it is at home, it mostly is.
                let found = try await find(target.keyValues, of: target.resolved, first: target.range)
                guard let found else { throw target.missing }
                guard found.range.id == target.range.id else {
                    if try move(target, from: found, unlessWrittenSince: mark) { return }
                    continue
                }
            }
            let isDone = try buffer.withLock { buffer in
                let own = try buffer.look(at: target.key, from: scope)
                if let own, own.value == nil {
                    // A child task of the closure can have moved it meanwhile.
                    if target.resolved.isRegionalByRow { return false }
                    throw target.missing
                }
                let condition = own == nil ? Precondition.present(target.key) : nil
                try buffer.write([target.draft(if: condition)], table: table.name, from: scope)
                return true
            }
            if isDone { return }
        }
    }

    /// Adds a row, or replaces the one with its key in the same region. A row with this key in another region is
    /// another row: in a table that is regional by row, the region is part of a row's identity.
    public func upsert<Row>(_ row: Row, into table: Table<Row>) async throws {
        let target = try await target(row, table)
        if target.resolved.isActiveActive { return try await converge(target, expecting: .either) }
        let scope = scope
        try buffer.withLock { try $0.write([target.draft(if: nil)], table: table.name, from: scope) }
    }

    /// Removes the row with this key.
    /// - Parameter region: the row's home region, in a table that is regional by row; without it the row is looked
    ///   for.
    /// - Throws: `.rowNotFound` (possibly at the commit), `.transactionTooLarge`.
    public func delete<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws {
        let resolved = try await resolve(table)
        let values = try table.keyValues(repeat each key)
        let scope = scope
        while true {
            let mark = buffer.withLock(\.mark)
            let range: RangeDescriptor
            if let region {
                range = try resolved.range(in: region)
            } else {
                range = try await locate(values, resolved)
            }
            let stored = try resolved.key(values, in: range)
            if resolved.isActiveActive { return try await convergeDeletion(values, resolved, range, stored) }
            let isDone = try buffer.withLock { buffer in
                let own = try buffer.look(at: stored, from: scope)
                if let own, own.value == nil {
                    // A child task of the closure can have moved it meanwhile.
                    if region == nil, buffer.isWritten(stored, since: mark, from: scope) { return false }
                    throw Target.missing(table.name)
                }
                let condition = own == nil ? Precondition.present(stored) : nil
                let draft = WriteBuffer.Draft(key: stored, value: nil, range: range, condition: condition)
                try buffer.write([draft], table: table.name, from: scope)
                return true
            }
            if isDone { return }
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
        let resolved = try await resolve(table)
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
        let resolved = try await resolve(table)
        let range = try region.map { try resolved.range(in: $0) } ?? resolved.homes(nearest: database.region)[0]
        let span = try resolved.span(try table.keyPrefixValues(repeat each prefix), in: range)
        return try await scan(span, of: resolved, in: range, limit: limit).map { try table.decode($0) }
    }

    /// The table, with the copy that this transaction uses of it.
    func resolve<Row>(_ table: Table<Row>) async throws -> ResolvedTable {
        tables.first(try await database.resolve(table, end: deadline))
    }

    /// The same of a table that this process has used before, without a look at its declaration.
    func known(_ name: String) -> ResolvedTable? { database.host.tables[name].map(tables.first) }

    func end() { buffer.withLock { $0.isEnded = true } }
}
