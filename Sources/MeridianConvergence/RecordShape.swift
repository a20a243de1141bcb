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
        /// All that the row has beside its key and its named columns: every write says what it is.
        package var isRow: Bool

        package init(columns: [Int], resolver: Resolver, isRow: Bool = false) {
            self.columns = columns
            self.resolver = resolver
            self.isRow = isRow
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
            if !left.isEmpty || fields.isEmpty { fields.append(Field(columns: left, resolver: others, isRow: true)) }
        } else {
            fields += left.map { Field(columns: [$0], resolver: others) }
        }
        fields.sort { ($0.columns.first ?? -1) < ($1.columns.first ?? -1) }
        self.init(columnCount: schema.columns.count, key: schema.keyColumns, fields: fields)
    }

    func content(of field: Field, in row: [Value]) -> [Value] { field.columns.map { row[$0] } }
}

/// The resolvers that a table was declared with.
package struct ResolverPlan: Hashable, Sendable {
    /// By column; the columns that are not named follow `others`.
    package var columns: [Int: Resolver]
    package var others: Resolver
    /// Whether the other columns are resolved together, as one value.
    package var isWhole: Bool

    package init(columns: [Int: Resolver] = [:], others: Resolver, isWhole: Bool) {
        self.columns = columns
        self.others = others
        self.isWhole = isWhole
    }

    package func shape(_ schema: TableSchema) -> RecordShape {
        RecordShape(schema, columns: columns, others: others, isWhole: isWhole)
    }

    /// - Throws: `.resolverMismatch`, naming the column, what it is and what would fit.
    package func validate(_ schema: TableSchema) throws(MeridianError) {
        for (position, resolver) in columns.sorted(by: { $0.key < $1.key }) {
            let column = schema.columns[position]
            func misfit(_ reason: String) -> MeridianError {
                MeridianError(
                    .resolverMismatch,
                    "table \(schema.name): column \(column.name) cannot be resolved by \(resolver): \(reason)")
            }
            guard !schema.keyColumns.contains(position) else { throw misfit("it is part of the key") }
            switch resolver {
            case .counter, .growOnlyCounter:
                guard column.type == .integer, !column.isOptional else {
                    throw misfit("a counter is an integer that is not optional, this is \(Self.text(column))")
                }
            case .addWinsSet, .growOnlySet:
                guard column.type == .json, !column.isOptional else {
                    throw misfit("a set is a Set or an array that is not optional, this is \(Self.text(column))")
                }
            case .lastWriterWins, .siblings, .merge: break
            }
        }
    }

    private static func text(_ column: ColumnSchema) -> String {
        "\(column.type)\(column.isOptional ? ", optional" : "")"
    }

    private static let format: Int64 = 1

    package func encoded() throws(MeridianError) -> [UInt8] {
        var values: [Value] = [.integer(Self.format), .integer(Int64(others.rawValue)), .integer(isWhole ? 1 : 0)]
        for (column, resolver) in columns.sorted(by: { $0.key < $1.key }) {
            values += [.integer(Int64(column)), .integer(Int64(resolver.rawValue))]
        }
        return try RowCoding.encode(values, name: "system.tables")
    }

    package init(encoded bytes: [UInt8]) throws(MeridianError) {
        let damaged = MeridianError(.corruption, "the resolvers of a table are damaged")
        let numbers = try RowCoding.decode(bytes, name: "system.tables").map { value throws(MeridianError) -> Int64 in
            guard case .integer(let number) = value else { throw damaged }
            return number
        }
        guard numbers.count >= 3, numbers.count % 2 == 1 else { throw damaged }
        guard numbers[0] <= Self.format else {
            throw MeridianError(.newerFormat, "a table has resolvers of format \(numbers[0]); update this program")
        }
        func resolver(_ number: Int64) throws(MeridianError) -> Resolver {
            guard let byte = UInt8(exactly: number), let resolver = Resolver(rawValue: byte) else { throw damaged }
            return resolver
        }
        self.init(others: try resolver(numbers[1]), isWhole: numbers[2] != 0)
        for position in stride(from: 3, to: numbers.count, by: 2) {
            columns[Int(numbers[position])] = try resolver(numbers[position + 1])
        }
    }
}
