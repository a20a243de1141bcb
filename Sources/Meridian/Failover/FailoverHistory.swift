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
    /// What failovers a table has had, in their order for each home region. How long each took stands only in what it
    /// returned.
    public func failovers<Row>(
        of table: Table<Row>, deadline: Duration = Database.defaultDeadline
    ) async throws -> [FailoverReport] {
        let end = host.deadline(after: deadline)
        let span = try FailoverHistory.span(ofTable: table.name)
        return try await rows(of: span, in: Catalog.systemRange, end: end).compactMap { row in
            try row.version.value.map { try FailoverHistory.report(in: $0) }
        }
    }
}
