/// One column of a table.
public struct ColumnSchema: Hashable, Sendable {
    public var name: String
    public var type: ColumnType
    /// Whether the column may hold null.
    public var isOptional: Bool

    public init(_ name: String, _ type: ColumnType, isOptional: Bool = false) {
        self.name = name
        self.type = type
        self.isOptional = isOptional
    }
}

/// The shape of a table's rows: what its columns are, which of them make the key, which one names the home region.
///
/// A schema that was validated has a usable name, at least one column, at least one key column, no two columns of one
/// name, only positions that exist, keys that are never null or JSON, and a region column that is text and never null.
package struct TableSchema: Hashable, Sendable {
    package var name: String
    package var columns: [ColumnSchema]
    /// Positions in `columns`, in the order of the key.
    package var keyColumns: [Int]
    /// Position in `columns` of the home region of each row, if the table is homed by row.
    package var regionColumn: Int?

    package init(name: String, columns: [ColumnSchema], keyColumns: [Int], regionColumn: Int? = nil) {
        self.name = name
        self.columns = columns
        self.keyColumns = keyColumns
        self.regionColumn = regionColumn
    }

    /// In bytes of UTF-8, for the table and for each column.
    package static let maximumNameByteCount = 64
    package static let maximumColumnCount = 1_000

    package var keyTypes: [ColumnType] { keyColumns.map { columns[$0].type } }

    package func position(of column: String) -> Int? { columns.firstIndex { $0.name == column } }

    /// The key columns' values out of a whole row's.
    package func keyValues(of row: [Value]) -> [Value] {
        precondition(row.count == columns.count, "row of \(row.count) values in \(columns.count) columns")
        return keyColumns.map { row[$0] }
    }

    /// The region that a whole row's values name, if the table is homed by row.
    package func region(of row: [Value]) -> Region? {
        precondition(row.count == columns.count, "row of \(row.count) values in \(columns.count) columns")
        guard let regionColumn, case .text(let name) = row[regionColumn] else { return nil }
        return Region(name)
    }
}

extension TableSchema {
    /// - Throws: `.invalidTable`, naming the first rule that is broken.
    package func validate() throws(MeridianError) {
        try validateNames()
        guard !keyColumns.isEmpty else { throw invalid("it has no key column") }
        for position in keyColumns {
            guard columns.indices.contains(position) else { throw invalid("it has no column \(position) for its key") }
            let column = columns[position]
            guard column.type.isKeyable else {
                throw invalid("key column \(column.name) holds JSON; a key must encode as one simple value")
            }
            guard !column.isOptional else { throw invalid("key column \(column.name) must not be optional") }
        }
        guard Set(keyColumns).count == keyColumns.count else { throw invalid("a column is twice in its key") }
        guard let regionColumn else { return }
        guard columns.indices.contains(regionColumn) else {
            throw invalid("it has no column \(regionColumn) for regions")
        }
        let column = columns[regionColumn]
        guard column.type == .text else {
            throw invalid("region column \(column.name) must be text, it is \(column.type)")
        }
        guard !column.isOptional else { throw invalid("region column \(column.name) must not be optional") }
    }

    private func validateNames() throws(MeridianError) {
        guard !name.isEmpty else { throw MeridianError(.invalidTable, "a table must have a name") }
        guard name.utf8.count <= Self.maximumNameByteCount else {
            throw invalid("its name takes \(name.utf8.count) bytes, the limit is \(Self.maximumNameByteCount)")
        }
        guard name.utf8.allSatisfy(Self.isNameByte), name.utf8.first.map(Self.isNameStart) == true else {
            throw invalid("its name must be of ASCII letters, digits, _, - and ., and start with a letter or _")
        }
        guard !columns.isEmpty else { throw invalid("it has no columns") }
        guard columns.count <= Self.maximumColumnCount else {
            throw invalid("it has \(columns.count) columns, the limit is \(Self.maximumColumnCount)")
        }
        var names: Set<String> = []
        for (position, column) in columns.enumerated() {
            guard !column.name.isEmpty else { throw invalid("column \(position) has no name") }
            guard column.name.utf8.count <= Self.maximumNameByteCount else {
                throw invalid(
                    "the name of column \(position) takes \(column.name.utf8.count) bytes, "
                        + "the limit is \(Self.maximumNameByteCount)")
            }
            guard column.name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw invalid("the name of column \(position) has control characters")
            }
            guard names.insert(column.name).inserted else { throw invalid("it has two columns named \(column.name)") }
        }
    }

    /// Table names stand in file names, metric labels and the command line, so they are plain. Column names are what a
    /// Swift program calls its properties, so they may be any text.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        isNameStart(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    private static func isNameStart(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == UInt8(ascii: "_")
    }

    private func invalid(_ reason: String) -> MeridianError {
        MeridianError(.invalidTable, "table \(name): \(reason)")
    }
}
