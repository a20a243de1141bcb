/// A schema in the system range, and how a program's schema is compared with it.
///
/// A stored schema is itself a row (`RowCoding`): `version, name, region column or null, number of key columns, their
/// positions, number of columns, then name, type and isOptional of each`.
extension TableSchema {
    private static let storedVersion: Int64 = 1

    /// - Throws: `.rowTooLarge`, which a valid schema never is.
    package func encoded() throws(MeridianError) -> [UInt8] {
        var values: [Value] = [.integer(Self.storedVersion), .text(name)]
        values.append(regionColumn.map { .integer(Int64($0)) } ?? .null)
        values.append(.integer(Int64(keyColumns.count)))
        values += keyColumns.map { .integer(Int64($0)) }
        values.append(.integer(Int64(columns.count)))
        for column in columns {
            values.append(.text(column.name))
            values.append(.integer(Int64(column.type.rawValue)))
            values.append(.integer(column.isOptional ? 1 : 0))
        }
        return try RowCoding.encode(values, name: name)
    }

    /// - Throws: `.corruption` if the bytes are not a valid schema, `.newerFormat` if a newer version wrote them.
    package init(encoded bytes: [UInt8]) throws(MeridianError) {
        var values = StoredValues(try RowCoding.decode(bytes, name: "of schemas"))
        let version = try values.integer()
        guard version <= Self.storedVersion else {
            throw MeridianError(.newerFormat, "a stored schema has format \(version), known is \(Self.storedVersion)")
        }
        let name = try values.text()
        let regionColumn = try values.integerOrNull().map { Int($0) }
        var keyColumns: [Int] = []
        for _ in 0..<(try values.count()) { keyColumns.append(Int(try values.integer())) }
        var columns: [ColumnSchema] = []
        for _ in 0..<(try values.count()) {
            let columnName = try values.text()
            let rawType = try values.integer()
            guard let type = UInt8(exactly: rawType).flatMap(ColumnType.init(rawValue:)) else {
                throw MeridianError(.newerFormat, "a stored schema has a column of unknown type \(rawType)")
            }
            columns.append(ColumnSchema(columnName, type, isOptional: try values.integer() != 0))
        }
        guard values.isAtEnd else { throw StoredValues.corrupted }
        self.init(name: name, columns: columns, keyColumns: keyColumns, regionColumn: regionColumn)
        do throws(MeridianError) {
            try validate()
        } catch {
            throw MeridianError(.corruption, "a stored schema is damaged: \(error.message)")
        }
    }

    /// The first difference between this schema, which the program declares, and the one that the cluster has stored;
    /// `nil` if there is none.
    package func mismatch(with stored: TableSchema) -> String? {
        if name != stored.name { return "the program names it \(name), the cluster \(stored.name)" }
        for (position, (here, there)) in zip(columns, stored.columns).enumerated() where here != there {
            if here.name != there.name {
                return "column \(position) is \(here.name) in the program and \(there.name) in the cluster"
            }
            if here.type != there.type {
                return "column \(here.name) is \(here.type) in the program and \(there.type) in the cluster"
            }
            let (optional, required) = here.isOptional ? ("program", "cluster") : ("cluster", "program")
            return "column \(here.name) is optional in the \(optional) and not in the \(required)"
        }
        if columns.count > stored.columns.count {
            return "the program has a column \(columns[stored.columns.count].name), the cluster does not"
        }
        if columns.count < stored.columns.count {
            return "the cluster has a column \(stored.columns[columns.count].name), the program does not"
        }
        if keyColumns != stored.keyColumns {
            return "its key is (\(names(keyColumns))) in the program and (\(names(stored.keyColumns))) in the cluster"
        }
        if regionColumn != stored.regionColumn {
            let here = regionColumn.map { columns[$0].name } ?? "not a column"
            let there = stored.regionColumn.map { columns[$0].name } ?? "not a column"
            return "the region of its rows is \(here) in the program and \(there) in the cluster"
        }
        return nil
    }

    private func names(_ positions: [Int]) -> String {
        positions.map { columns[$0].name }.joined(separator: ", ")
    }
}

/// The values of a stored schema, one after the other.
private struct StoredValues {
    private var remaining: ArraySlice<Value>

    init(_ values: [Value]) { remaining = values[...] }

    static var corrupted: MeridianError { MeridianError(.corruption, "a stored schema is damaged") }

    var isAtEnd: Bool { remaining.isEmpty }

    mutating func integerOrNull() throws(MeridianError) -> Int64? {
        switch remaining.popFirst() {
        case .integer(let integer): return integer
        case .null: return nil
        default: throw Self.corrupted
        }
    }

    mutating func integer() throws(MeridianError) -> Int64 {
        guard let integer = try integerOrNull() else { throw Self.corrupted }
        return integer
    }

    mutating func text() throws(MeridianError) -> String {
        guard case .text(let text) = remaining.popFirst() else { throw Self.corrupted }
        return text
    }

    /// A number of things that are still to come.
    mutating func count() throws(MeridianError) -> Int {
        let count = try integer()
        guard count >= 0, count <= remaining.count else { throw Self.corrupted }
        return Int(count)
    }
}
