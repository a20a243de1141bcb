import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// A conflict that an active-active table has had: two writes that did not know of each other.
public struct RowConflict<Row: Codable & Sendable>: Sendable {
    public enum Kind: String, Hashable, Sendable {
        /// The later write's value holds, the other is gone from the row.
        case overwritten
        /// Both values are kept, until somebody who has seen them writes the row.
        case kept
        /// The row is deleted, and what was written at the same time with it.
        case deleted
        /// The row is there, although it was deleted at the same time.
        case revived
    }

    public var kind: Kind
    /// The parts of the row's key, as text.
    public var key: [String]
    /// The columns that the losing write was about.
    public var columns: [String]
    /// What the losing write had put there, column by column as text; empty for a deletion.
    public var lost: [String: String]
    /// The row as it would be with the losing write; `nil` for a deletion, or where the row is not there any more.
    public var row: Row?
    /// When the writes were made, by their regions' clocks, and where.
    public var winner: (time: Timestamp, region: Region?)
    public var loser: (time: Timestamp, region: Region?)
}

/// How far one copy has come with what another one writes.
public struct CopyProgress: Sendable {
    public var from: Region
    public var into: Region
    /// All that was committed there up to now less this is here; `nil` when nothing was pulled yet.
    public var behind: Duration?
    /// Why the last attempt failed; `nil` when it did not.
    public var problem: MeridianError?
}

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
        let record = try await activeRecord(table, end: end)
        let resolved = try ResolvedTable(
            record, schema: try TableSchema(encoded: record.descriptor.schema), topology: host.topology)
        let ranges = try region.map { [try resolved.range(in: $0)] } ?? record.ranges
        let inUse = Set(resolved.ranges.values.map(\.id))
        let regions = Dictionary(record.copies.map { (Origin($0.number.rawValue), $0.region) }) { $1 }
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
        let record = try await activeRecord(table, end: end)
        let resolved = try ResolvedTable(
            record, schema: try TableSchema(encoded: record.descriptor.schema), topology: host.topology)
        let inUse = Set(resolved.ranges.values.map(\.id))
        var count = 0
        for range in record.ranges.sorted(by: { $0.id < $1.id }) {
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

    /// How far each copy of an active-active table has come with each other one, as far as this process knows.
    public func convergence<Row>(
        of table: Table<Row>, deadline: Duration = Database.defaultDeadline
    ) async throws -> [CopyProgress] {
        let record = try await activeRecord(table, end: host.deadline(after: deadline))
        let copies = zip(record.copies, record.ranges).filter { $0.0.state == .active }
        let now = try await readTimestamp(end: host.deadline(after: deadline))
        return copies.flatMap { copy, range in
            copies.filter { $0.0.number != copy.number }.map { origin, _ in
                let link = ConvergenceProgress.Link(copy: range.id, origin: origin.number)
                let behind = host.progress[link].map {
                    Duration.nanoseconds(max(0, now.rawValue - $0.rawValue))
                }
                return CopyProgress(
                    from: origin.region, into: copy.region, behind: behind, problem: host.progress.problem(of: link))
            }
        }
    }

    /// Waits until every copy of an active-active table has all that was committed in any other before the call. For
    /// tests, drills and the end of a maintenance window: applications that wait for a row take its token.
    /// - Throws: `.deadlineExceeded`, naming the copies that are behind.
    public func waitUntilConverged<Row>(_ table: Table<Row>, deadline: Duration = .seconds(30)) async throws {
        let end = host.deadline(after: deadline)
        let resolved = try await resolve(table, end: end)
        // Above what any region has committed, whose clocks may be ahead of this one's.
        let time = try await readTimestamp(end: end)
        for range in resolved.ranges.values.sorted(by: { $0.id < $1.id }) {
            try await waitUntilCovered(resolved, range, at: time, end: end)
        }
    }

    /// Waits until the copy that serves this region has all that was committed in other copies up to a time.
    func waitUntilCovered(_ table: ResolvedTable, at time: Timestamp, end: Instant) async throws {
        try await waitUntilCovered(table, table.copy(nearest: region), at: time, end: end)
    }

    private func waitUntilCovered(
        _ table: ResolvedTable, _ range: RangeDescriptor, at time: Timestamp, end: Instant
    ) async throws {
        let origins = table.record.copies.filter { $0.state == .active && $0.range != range.id }
        while true {
            let behind = origins.filter { origin in
                (host.progress[.init(copy: range.id, origin: origin.number)] ?? .zero) < time
            }
            if behind.isEmpty || Planted.isOn(.coverageNotAwaited) { return }
            guard host.now < end else {
                throw MeridianError(
                    .deadlineExceeded,
                    "table \(table.name): the copy in \(range.home) does not have yet what was written in "
                        + behind.map(\.region.rawValue).sorted().joined(separator: ", ")
                        + " up to now; allow more time, or read where it was written",
                    retry: .after(.seconds(1)))
            }
            await host.pause(for: .milliseconds(5))
        }
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
            let result = try await read(range.id, [.get(try resolved.key(key, in: range))], at: nil, end: end)
            if let value = result.rows[0].first?.version.value,
                var found = try RowReader.Found(result.rows[0][0].key, value, resolved, range)
            {
                for (position, value) in zip(positions, conflict.content) { found.row[position] = value }
                row = try table.decode(found.row)
            }
        }
        return RowConflict(
            kind: .init(conflict.kind), key: key.map(\.text), columns: positions.map { columns[$0].name }, lost: lost,
            row: row, winner: (conflict.winner.time, regions[conflict.winner.dot.origin]),
            loser: (conflict.loser.time, regions[conflict.loser.dot.origin]))
    }

    /// What one copy has recorded. A copy that is out of use may be gone for good, and is not waited for.
    private func conflictRows(
        _ table: ResolvedTable, _ range: RangeDescriptor, isInUse: Bool, end: Instant
    ) async throws -> [KeyedVersion] {
        let span = table.span(of: .conflicts, in: range)
        if isInUse { return try await scan(span, of: range.id, end: end) }
        return (try? await scan(span, of: range.id, end: min(end, host.deadline(after: Self.retiredPatience)))) ?? []
    }

    private static let retiredPatience = Duration.seconds(1)

    /// All rows of a span, page by page.
    func scan(_ span: KeySpan, of range: RangeID, end: Instant) async throws -> [KeyedVersion] {
        var rows: [KeyedVersion] = []
        var (span, timestamp) = (span, Timestamp?.none)
        while true {
            let operation = ReadOperation.scan(span, limit: 2_000, byteLimit: 1 << 20)
            let result = try await read(range, [operation], at: timestamp, end: end)
            timestamp = result.timestamp
            guard let last = result.rows[0].last else { return rows }
            rows += result.rows[0]
            span = KeySpan(lower: last.key.successor, upper: span.upper)
            if let upper = span.upper, span.lower >= upper { return rows }
        }
    }
}

extension RowConflict.Kind {
    init(_ kind: Conflict.Kind) {
        switch kind {
        case .overwritten: self = .overwritten
        case .kept: self = .kept
        case .deleted: self = .deleted
        case .revived: self = .revived
        }
    }
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
