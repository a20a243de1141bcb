import MeridianCore
import MeridianPlacement
import MeridianReplica

/// A row's move from one home region to another, over two ranges that commit apart.
///
/// 1. The row is inserted in its new region, marked as arriving from the version that was read in the old one.
/// 2. The old row is replaced by a sign that it has departed, if it still is that version. This is the
///    moment of the move.
/// 3. The mark is taken off the new row, and then the sign off the old region.
///
/// Readers that meet an arriving row ask the old region as of the same timestamp: while the old row is there, it is
/// the row (`RowReader`). So everybody sees the row once, before and after step 2. If the mover dies in between, or
/// somebody changed or deleted the old row first, whoever next writes the row finishes the move or takes it back
/// (`finish`): the sign alone decides which. An old row that is gone without it was deleted by its owner, and takes the
/// arriving copy with it.
struct RowMove: Sendable {
    private let table: ResolvedTable
    private let key: [Value]
    private let origin: RangeDescriptor
    private let destination: RangeDescriptor
    private let row: StoredRow

    /// - Throws: `.jurisdictionViolation` when the table is restricted and the regions are under different laws.
    init(
        table: ResolvedTable, key: [Value], from found: RowReader.Found, to destination: RangeDescriptor,
        row: StoredRow
    ) throws(MeridianError) {
        let laws = [found.range.home, destination.home].map { table.topology.jurisdiction(of: $0) }
        if table.record.descriptor.placement == .restricted, laws[0] != laws[1] {
            throw MeridianError(
                .jurisdictionViolation,
                "table \(table.name) is restricted: a row at home in \(found.range.home) (\(laws[0])) cannot move to "
                    + "\(destination.home) (\(laws[1])). Delete it there and insert a new one, if the law allows")
        }
        self.table = table
        self.key = key
        self.origin = found.range
        self.destination = destination
        self.row = StoredRow(
            values: row.values, arrival: .init(origin: found.range.home, version: found.version))
    }

    /// - Returns: the timestamp of the move.
    /// - Throws: `.conflict` when the old row was changed in the meantime; `.duplicateKey` when the new region has
    ///   such a row.
    func run(_ database: Database, end: Instant) async throws -> Timestamp {
        let stored = try table.key(key, in: destination)
        let insertion = CommitRequest(
            id: database.host.newRequestID(), preconditions: [.absent(stored)],
            mutations: [Mutation(key: stored, value: try row.encoded(table: table))])
        _ = try await database.commit(destination.id, insertion, end: end)
        do {
            let reader = RowReader(database: database, end: end, timestamp: nil)
            guard let arriving = try await reader.get(key, table, destination), arriving.row.arrival != nil else {
                // Somebody has finished it already.
                return try await database.readTimestamp(end: end)
            }
            if let moved = try await Self.finish(arriving, key, table, database, end: end) { return moved }
        } catch var error as MeridianError {
            // The move has begun, and whoever writes the row next brings it to its end.
            error.commitOutcome = .unknown
            throw error
        }
        throw MeridianError(
            .conflict, "table \(table.name): the row was changed while it was to move; run the closure again",
            retry: .immediately)
    }

    /// Brings a begun move to its end, forwards or backwards.
    /// - Returns: when the row left its old region, or `nil` if it did not.
    @discardableResult
    static func finish(
        _ arriving: RowReader.Found, _ key: [Value], _ table: ResolvedTable, _ database: Database,
        end: Instant
    ) async throws -> Timestamp? {
        guard let arrival = arriving.row.arrival, let origin = table.ranges[arrival.origin] else { return nil }
        let reader = RowReader(database: database, end: end, timestamp: nil)
        let old = try await reader.raw(key, table, origin)
        var moved: Timestamp?
        if let old, old.row.hasDeparted {
            moved = old.version
        } else if let old, old.version == arrival.version {
            let sign = StoredRow(values: old.row.values, departure: arriving.range.home)
            do {
                moved = try await replace(old, by: sign, table, database, end: end)
            } catch let error as MeridianError where error.code == .conflict {
                return try await finish(arriving, key, table, database, end: end)
            }
        }
        // Forwards the row loses its mark; backwards it goes.
        let settled = moved.map { _ in StoredRow(values: arriving.row.values) }
        do {
            _ = try await replace(arriving, by: settled, table, database, end: end)
        } catch let error as MeridianError where error.code == .conflict {
            // Somebody else has settled it, to the same end.
        }
        if moved != nil, let left = try await reader.raw(key, table, origin), left.row.hasDeparted {
            do {
                _ = try await replace(left, by: nil, table, database, end: end)
            } catch let error as MeridianError where error.code == .conflict {
                // Somebody else has cleaned up.
            }
        }
        return moved
    }

    /// Takes away a departed row's sign, which stands in the way of a new row under the key, once the
    /// move needs it no more.
    /// - Returns: whether there was one.
    static func clearSign(
        at stored: Key, _ table: ResolvedTable, _ range: RangeDescriptor, _ database: Database,
        end: Instant
    ) async throws -> Bool {
        let reader = RowReader(database: database, end: end, timestamp: nil)
        guard let sign = try await reader.raw(stored, table, range), let region = sign.row.departure,
            let destination = table.ranges[region]
        else { return false }
        let key = table.schema.keyValues(of: sign.row.values)
        if let row = try await reader.get(key, table, destination), row.row.arrival != nil {
            try await finish(row, key, table, database, end: end)
        } else {
            do {
                _ = try await replace(sign, by: nil, table, database, end: end)
            } catch let error as MeridianError where error.code == .conflict {
                // Somebody else has cleaned up.
            }
        }
        return true
    }

    /// Puts another row, or none, in the place of exactly the version that was found.
    private static func replace(
        _ found: RowReader.Found, by row: StoredRow?, _ table: ResolvedTable, _ database: Database,
        end: Instant
    ) async throws -> Timestamp {
        let request = CommitRequest(
            id: database.host.newRequestID(),
            preconditions: [.present(found.key), .unchanged(found.key, since: found.version)],
            mutations: [Mutation(key: found.key, value: try row?.encoded(table: table))])
        do {
            return try await database.commit(found.range.id, request, end: end).result.timestamp
        } catch var error as MeridianError where error.code == .rowNotFound {
            error.code = .conflict
            throw error
        }
    }
}
