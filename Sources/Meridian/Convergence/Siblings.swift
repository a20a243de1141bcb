import MeridianConvergence
import MeridianCore
import MeridianReplica

/// What is read of a row of which several values are kept.
struct Siblings: Sendable {
    let record: Record
    let shape: RecordShape

    /// The fields that hold several values.
    var fields: [Int] {
        record.cells.indices.filter { position in
            if case .siblings(let set) = record.cells[position] { set.siblings.count > 1 } else { false }
        }
    }
}

extension Table {
    /// The row that was found; of several values the application's merge, if it has one, else the latest.
    /// - Throws: `.mergeFailed` when the merge function throws, gives two answers to one question, or changes the key.
    ///   The values are still there: `siblings(of:)` returns them.
    func decode(_ found: RowReader.Found) throws -> Row {
        guard let siblings = found.siblings, let merge, let field = siblings.fields.first else {
            return try decode(found.row)
        }
        let (values, ancestor) = siblings.record.siblings(of: field, siblings.shape)
        let base = try ancestor.map { try decode($0) }
        let rows = try values.map { try decode($0) }
        return try rows.dropFirst().reduce(rows[0]) { earlier, later in
            try merged(base, earlier, later, key: siblings.record.key, merge)
        }
    }

    private func merged(
        _ ancestor: Row?, _ earlier: Row, _ later: Row, key: [Value], _ merge: Convergence<Row>.Merge
    ) throws -> Row {
        let answers: (Row, Row)
        do {
            answers = (try merge(ancestor, earlier, later), try merge(ancestor, earlier, later))
        } catch {
            throw failed("threw \(type(of: error))")
        }
        let values = try encode(answers.0)
        guard values == (try encode(answers.1)) else { throw failed("gave two answers to one question") }
        guard try layout.schema.keyValues(of: values) == key else { throw failed("changed the key") }
        return answers.0
    }

    private func failed(_ what: String) -> MeridianError {
        MeridianError(
            .mergeFailed,
            "table \(name): the merge function \(what); nothing is lost: siblings(of:) returns what was written, and "
                + "an update settles it")
    }

    /// The row once for each value that is kept of it, the latest last.
    func decodeAll(_ found: RowReader.Found) throws -> [Row] {
        guard let siblings = found.siblings else { return [try decode(found.row)] }
        var rows: [[Value]] = []
        for field in siblings.fields {
            for row in siblings.record.siblings(of: field, siblings.shape).rows where !rows.contains(row) {
                rows.append(row)
            }
        }
        return try rows.map { try decode($0) }
    }
}

extension ReadTransaction {
    /// The row with this key once for each value that is kept of it, the latest last: more than one when regions have
    /// written at the same time and nobody who has seen it has written since. Empty when there is no such row.
    public func siblings<Row, each Part: Encodable & Sendable>(
        of key: repeat each Part, in table: Table<Row>
    ) async throws -> [Row] {
        try await find(repeat each key, from: table, in: nil).map { try table.decodeAll($0) } ?? []
    }
}

extension Transaction {
    /// As in a `ReadTransaction`. An update of the row in this transaction settles it.
    public func siblings<Row, each Part: Encodable & Sendable>(
        of key: repeat each Part, in table: Table<Row>
    ) async throws -> [Row] {
        let resolved = try await resolve(table)
        let found = try await find(try table.keyValues(repeat each key), of: resolved)
        return try found.map { try table.decodeAll($0) } ?? []
    }
}
