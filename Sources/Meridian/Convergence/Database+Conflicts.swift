import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What the copies of active-active tables have recorded of writes that met.
extension Database {
    /// The conflicts that the copies of an active-active table have recorded, in the order of the losing writes: no
    /// write loses without one.
    ///
    /// A conflict is recorded where the two writes meet, so all copies are asked, and those out of use as far as
    /// they still answer.
    /// - Parameter region: asks only the copy there, for when others cannot be reached.
    /// - Throws: `.unavailable`, `.deadlineExceeded` when a copy does not answer; `.unknownRegion`.
    public func conflicts<Row>(
        of table: Table<Row>, in region: Region? = nil, deadline: Duration = Database.defaultDeadline
    ) async throws -> [RowConflict<Row>] {
        let end = host.deadline(after: deadline)
        let resolved = try ResolvedTable(try await activeRecord(table, end: end), topology: host.topology)
        let ranges = try region.map { [try resolved.range(in: $0)] } ?? resolved.record.ranges
        let inUse = Set(resolved.ranges.values.map(\.id))
        let regions = Dictionary(resolved.record.copies.map { (Origin($0.number.rawValue), $0.region) }) { $1 }
        var found: [ConflictName: RowConflict<Row>] = [:]
        for range in ranges.sorted(by: { $0.id < $1.id }) {
            for row in try await conflictRows(resolved, range, isInUse: inUse.contains(range.id), end: end) {
                guard let value = row.version.value else { continue }
                let conflict = try ConflictCoding.decode(value, name: table.name)
                var decoder = try KeyDecoder(row.key)
                let key = Array(try decoder.values().dropLast(ConflictCoding.keySuffixTypes.count))
                let name = ConflictName(key: key, field: conflict.field, loser: conflict.loser.dot)
                if found[name] == nil {
                    found[name] = try await describe(conflict, key, resolved, range, table, regions, end: end)
                }
            }
        }
        return found.sorted { ($0.value.loser.time, $0.key.loser) < ($1.value.loser.time, $1.key.loser) }.map(\.value)
    }

    /// Forgets the conflicts whose losing write was made at or before a time: they were dealt with.
    /// - Returns: how many records are gone, over all copies.
    @discardableResult
    public func forgetConflicts<Row>(
        of table: Table<Row>, through time: Timestamp, deadline: Duration = .seconds(30)
    ) async throws -> Int {
        let end = host.deadline(after: deadline)
        let resolved = try ResolvedTable(try await activeRecord(table, end: end), topology: host.topology)
        let inUse = Set(resolved.ranges.values.map(\.id))
        var count = 0
        for range in resolved.record.ranges.sorted(by: { $0.id < $1.id }) {
            let keys = try await conflictRows(resolved, range, isInUse: inUse.contains(range.id), end: end)
                .filter { row in
                    guard let value = row.version.value else { return false }
                    return try ConflictCoding.decode(value, name: table.name).loser.time <= time
                }.map(\.key)
            for start in stride(from: 0, to: keys.count, by: 1_000) {
                let batch = keys[start..<min(start + 1_000, keys.count)]
                let request = CommitRequest(
                    id: host.newRequestID(), preconditions: [], mutations: batch.map { Mutation(key: $0, value: nil) })
                _ = try await commit(range.id, request, end: end)
                count += batch.count
            }
        }
        return count
    }

    private struct ConflictName: Hashable {
        var key: [Value]
        var field: Int?
        var loser: Dot
    }

    private func describe<Row>(
        _ conflict: Conflict, _ key: [Value], _ resolved: ResolvedTable, _ range: RangeDescriptor, _ table: Table<Row>,
        _ regions: [Origin: Region], end: Instant
    ) async throws -> RowConflict<Row> {
        func write(_ stamp: WriteStamp) -> RowConflict<Row>.Write {
            .init(time: stamp.time, region: regions[stamp.dot.origin])
        }
        let columns = resolved.schema.columns
        var positions: [Int] = []
        if let shape = resolved.shape, let field = conflict.field, shape.fields.indices.contains(field) {
            positions = shape.fields[field].columns
        } else if !conflict.content.isEmpty {
            positions = Array(columns.indices)
        }
        var lost: [String: String] = [:]
        for (position, value) in zip(positions, conflict.content) { lost[columns[position].name] = value.text }
        var row: Row?
        if positions.count == columns.count {
            row = try table.decode(conflict.content)
        } else if !positions.isEmpty {
            let stored = try resolved.key(key, in: range)
            let result = try await read(range.id, [.get(stored)], at: nil, end: end)
            if let value = result.row(0)?.version.value,
                var found = try RowReader.Found(stored, value, resolved, range)
            {
                for (position, value) in zip(positions, conflict.content) { found.row[position] = value }
                row = try table.decode(found.row)
            }
        }
        return RowConflict(
            kind: .init(conflict.kind), key: key.map(\.text), columns: positions.map { columns[$0].name }, lost: lost,
            row: row, winner: write(conflict.winner), loser: write(conflict.loser))
    }

    /// What one copy has recorded. A copy that is out of use may be gone for good, and is not waited for.
    private func conflictRows(
        _ table: ResolvedTable, _ range: RangeDescriptor, isInUse: Bool, end: Instant
    ) async throws -> [KeyedVersion] {
        let span = table.span(of: .conflicts, in: range)
        if isInUse { return try await rows(of: span, in: range.id, end: end) }
        let end = min(end, host.deadline(after: Self.retiredPatience))
        return (try? await rows(of: span, in: range.id, end: end)) ?? []
    }

    private static let retiredPatience = Duration.seconds(1)
}

extension Value {
    /// For people to read.
    fileprivate var text: String {
        switch self {
        case .null: "null"
        case .integer(let integer): "\(integer)"
        case .real(let real): "\(real)"
        case .text(let text): text
        case .blob(let bytes): Hexadecimal.text(bytes)
        }
    }
}
