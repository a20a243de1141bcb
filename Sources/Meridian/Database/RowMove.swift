import MeridianCore
import MeridianPlacement
import MeridianReplica

/// A row's move from one home region to another, over two ranges that commit apart.
///
/// 1. The row is inserted in its new region, marked as arriving from the version that was read in the old one.
/// 2. The old row is deleted, provided that it still is that version. This is the moment of the move.
/// 3. The mark is taken off.
///
/// Readers that meet an arriving row ask the old region as of the same timestamp: while the old row is there, it is
/// the row (`RowReader`). So everybody sees the row once, before and after step 2. If the mover dies in between,
/// or somebody changed the old row first, whoever next writes the row finishes the move or takes it back (`finish`):
/// step 2's outcome alone decides which.
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
    func run(_ database: Database, end: ContinuousClock.Instant) async throws -> Timestamp {
        let stored = try table.key(key, in: destination)
        let insertion = CommitRequest(
            id: Self.newID(), preconditions: [.absent(stored)],
            mutations: [Mutation(key: stored, value: try row.encoded(table: table))])
        _ = try await database.commit(destination.id, insertion, end: end)
        let reader = RowReader(database: database, end: end, timestamp: nil)
        guard let arriving = try await reader.get(key, table, destination), arriving.row.arrival != nil else {
            // Somebody has finished it already.
            return database.cluster.now(in: database.region) ?? .zero
        }
        guard let moved = try await Self.finish(arriving, key, table, database, end: end) else {
            throw MeridianError(
                .conflict, "table \(table.name): the row was changed while it was to move; run the closure again",
                retry: .immediately)
        }
        return moved
    }

    /// Brings a begun move to its end, forwards or backwards.
    /// - Returns: when the row left its old region, or `nil` if it stays there.
    @discardableResult
    static func finish(
        _ arriving: RowReader.Found, _ key: [Value], _ table: ResolvedTable, _ database: Database,
        end: ContinuousClock.Instant
    ) async throws -> Timestamp? {
        guard let arrival = arriving.row.arrival, let origin = table.ranges[arrival.origin] else { return nil }
        let reader = RowReader(database: database, end: end, timestamp: nil)
        var moved: Timestamp?
        if let old = try await reader.get(key, table, origin) {
            if old.version == arrival.version {
                let deletion = CommitRequest(
                    id: newID(), preconditions: [.unchanged(old.key, since: old.version)],
                    mutations: [Mutation(key: old.key, value: nil)])
                do {
                    moved = try await database.commit(origin.id, deletion, end: end).result.timestamp
                } catch let error as MeridianError where error.code == .conflict {
                    return try await finish(arriving, key, table, database, end: end)
                }
            }
        } else {
            moved = arriving.version
        }
        // Forwards the row loses its mark; backwards it goes.
        let value = try moved.map { _ in try StoredRow(values: arriving.row.values).encoded(table: table) }
        let settlement = CommitRequest(
            id: newID(), preconditions: [.unchanged(arriving.key, since: arriving.version)],
            mutations: [Mutation(key: arriving.key, value: value)])
        do {
            _ = try await database.commit(arriving.range.id, settlement, end: end)
        } catch let error as MeridianError where error.code == .conflict {
            // Somebody else has settled it, to the same end.
        }
        return moved
    }

    private static func newID() -> RequestID {
        var generator = SystemRandomNumberGenerator()
        return RequestID(using: &generator)
    }
}
