import Foundation
import MeridianCore
import MeridianReplica

/// The failovers of the past, kept in the system range. They name tables, regions and nodes, never rows.
enum FailoverHistory {
    static func mutation(_ report: FailoverReport) throws -> Mutation {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let text = String(decoding: try encoder.encode(report), as: UTF8.self)
        return Mutation(
            key: try key([.text(report.table), .text(report.partition), .integer(Int64(report.generation))]),
            value: try RowCoding.encode([.text(text)], name: "system.failovers"))
    }

    static func span(ofTable name: String) throws -> KeySpan { KeySpan(prefix: try key([.text(name)]).bytes) }

    static func report(in value: [UInt8]) throws -> FailoverReport {
        guard case .text(let text)? = try RowCoding.decode(value, name: "system.failovers").first else {
            throw MeridianError(.corruption, "a row of system.failovers is malformed")
        }
        return try JSONDecoder().decode(FailoverReport.self, from: Data(text.utf8))
    }

    private static func key(_ values: [Value]) throws(MeridianError) -> Key {
        let all = [Value.text("failover")] + values
        let types: [ColumnType] = all.map { if case .integer = $0 { .integer } else { .text } }
        return try KeyEncoder.key(table: .system, region: "", values: all, types: types, name: "system")
    }
}

extension Database {
    /// What failovers a table has had, in their order for each home region.
    public func failovers<Row>(
        of table: Table<Row>, deadline: Duration = Database.defaultDeadline
    ) async throws -> [FailoverReport] {
        let end = host.deadline(after: deadline)
        let span = try FailoverHistory.span(ofTable: table.name)
        let result = try await read(
            Catalog.systemRange, [.scan(span, limit: .max, byteLimit: .max)], at: nil, end: end)
        return try result.rows[0].compactMap { try $0.version.value.map { try FailoverHistory.report(in: $0) } }
    }

    /// Lets the rows of a lost home region go on in another one, by force.
    ///
    /// Call it when the region is lost and will not come back soon. It is for tables in the asynchronous and
    /// semi-synchronous modes; with region survival consensus does it alone, and a table without copies elsewhere has
    /// nothing to go on from. A semi-synchronous table loses nothing. An asynchronous one loses what its copies lack,
    /// and the report says up to when they are complete. When the old home returns, its replicas become copies of the
    /// new history, and what only they had is kept (`EmbeddedCluster.unshippedCommits(of:)`).
    ///
    /// A region that lives should be left with `moveHome(of:partition:to:deadline:)`, which loses nothing.
    ///
    /// - Parameters:
    ///   - lost: the region that is given up: all rows of the table that are at home there go on elsewhere.
    ///   - destination: the new home; without one it is where the most complete copy is.
    ///   - acceptingLoss: whether to go on from what can be reached although it may lack commits that the mode had
    ///     promised to keep.
    /// - Returns: a report for each range that was at home there.
    /// - Throws: `.placementImpossible` or `.jurisdictionViolation` for a destination that cannot be the home, and then
    ///   nothing has changed; `.unavailable` when too few copies answer; `.deadlineExceeded`.
    @discardableResult
    public func failOver<Row>(
        _ table: Table<Row>, from lost: Region, to destination: Region? = nil, acceptingLoss: Bool = false,
        deadline: Duration = .seconds(30)
    ) async throws -> [FailoverReport] {
        let end = host.deadline(after: deadline)
        let record = try await record(table.name, end: end)
        var reports: [FailoverReport] = []
        for range in record.ranges where range.home == lost {
            let procedure = FailoverProcedure(
                database: self, table: table.name, range: range.id, destination: destination, authority: nil,
                acceptsLoss: acceptingLoss, end: end)
            reports.append(try await procedure.run())
        }
        guard !reports.isEmpty else {
            throw MeridianError(
                .placementImpossible,
                "table \(table.name) has no rows at home in \(lost); they are at home in "
                    + record.ranges.map(\.home.rawValue).joined(separator: ", "))
        }
        return reports
    }
}
