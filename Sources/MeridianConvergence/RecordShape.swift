import MeridianCore

/// How concurrent writes of a column come together.
package enum Resolver: UInt8, Hashable, Sendable, CaseIterable {
    // The numbers are in stored tables: never change or reuse one.
    case lastWriterWins = 1
    case growOnlyCounter = 2
    case counter = 3
    case growOnlySet = 4
    case addWinsSet = 5
    case siblings = 6
    /// As siblings, with what each was made from, for the application's own merge function.
    case merge = 7

    /// Whether it says of a table's rows as wholes what comes of them, too.
    package var isForRows: Bool { self == .lastWriterWins || self == .siblings || self == .merge }
}

/// What the rows of an active-active table are made of: the columns of the key, which never change, and *fields*,
/// groups of columns that are resolved together.
package struct RecordShape: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        /// Positions among the table's columns.
        package var columns: [Int]
        package var resolver: Resolver

        package init(columns: [Int], resolver: Resolver) {
            self.columns = columns
            self.resolver = resolver
        }
    }

    package let columnCount: Int
    package let key: [Int]
    package let fields: [Field]

    /// Precondition: each column is in the key or in one field; counters and sets have one column each.
    package init(columnCount: Int, key: [Int], fields: [Field]) {
        precondition(
            (key + fields.flatMap(\.columns)).sorted() == Array(0..<columnCount),
            "the key and the fields are not the \(columnCount) columns, each once")
        self.columnCount = columnCount
        self.key = key
        self.fields = fields
    }

    /// A table's rows resolved as wholes, or column by column.
    /// - Parameters:
    ///   - columns: the resolvers of single columns.
    ///   - others: what holds for the other columns.
    ///   - isWhole: whether the others are one field.
    package init(_ schema: TableSchema, columns: [Int: Resolver], others: Resolver, isWhole: Bool) {
        let left = schema.columns.indices.filter { !schema.keyColumns.contains($0) && columns[$0] == nil }
        var fields = columns.sorted { $0.key < $1.key }.map { Field(columns: [$0.key], resolver: $0.value) }
        if isWhole {
            if !left.isEmpty || fields.isEmpty { fields.append(Field(columns: left, resolver: others)) }
        } else {
            fields += left.map { Field(columns: [$0], resolver: others) }
        }
        fields.sort { ($0.columns.first ?? -1) < ($1.columns.first ?? -1) }
        self.init(columnCount: schema.columns.count, key: schema.keyColumns, fields: fields)
    }

    func content(of field: Field, in row: [Value]) -> [Value] { field.columns.map { row[$0] } }
}
