import MeridianConvergence
import MeridianCore
import MeridianPlacement

/// A table: what its rows are, which property is their key, and where they live.
///
/// ```swift
/// struct User: Codable, Sendable { var id: UUID; var region: String; var name: String }
/// let users = Table<User>("users", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
/// ```
///
/// The columns are the row's properties, found by decoding a made-up row (`RowProbe`). A row is a flat struct of
/// numbers, strings, `Bool`, `UUID`, `Date`, `Data`, enums with raw values, optionals of these, and nested `Codable`
/// values, which are stored as JSON; `ColumnType` has the list.
///
/// Declaring a table does no work in the database and never throws, so that it can be a global constant. What is wrong
/// with a declaration is thrown by each operation on the table, and by `validate()`. Finding the columns takes some
/// tens of microseconds: declare a table once, do not make one for each call.
public struct Table<Row: Codable & Sendable>: Sendable {
    public let name: String
    public let survival: SurvivalGoal
    public let placement: Placement
    public let mode: ReplicationMode
    public let failover: FailoverPolicy
    /// Of an active-active table, where it has copies; `nil` for all regions.
    let regions: [Region]?
    /// The application's own word on siblings.
    let merge: Convergence<Row>.Merge?

    private let declared: Result<TableLayout, MeridianError>

    /// A table whose columns and key are found from its row's type.
    /// - Parameters:
    ///   - name: letters, digits, `_`, `-` and `.`; at most 64 bytes.
    ///   - key: the property that no two rows share. It is stored as one simple value, and is not optional.
    ///   - locality: where rows are homed.
    ///   - survival: what the table must survive.
    ///   - placement: whether copies may leave the jurisdiction of a row's home region.
    ///   - mode: when a commit is acknowledged.
    ///   - failover: who decides that the table goes on elsewhere when its home region is lost.
    public init<Key: Codable & Hashable & Sendable>(
        _ name: String, key: any KeyPath<Row, Key> & Sendable, locality: TableLocality<Row>,
        survival: SurvivalGoal = .zone, placement: Placement = .unrestricted, mode: ReplicationMode = .synchronous,
        failover: FailoverPolicy = .manual
    ) {
        self.init(
            name: name, survival: survival, placement: placement, mode: mode, failover: failover
        ) { () throws(MeridianError) in
            let shape = try RowShape<Row>(name: name)
            let position = try shape.position(of: key)
            let locality = try locality.resolve { shape }
            return try TableLayout(name: name, columns: shape.columns, key: [position], locality: locality)
        }
    }

    /// A table whose key has several columns, or whose columns cannot be found from its row's type.
    /// - Parameters:
    ///   - columns: the columns in order, each with its row's coding key for a name; `nil` finds them.
    ///   - keyColumns: the names of the columns that together are the key, in the order in which rows sort.
    public init(
        _ name: String, columns: [ColumnSchema]? = nil, keyColumns: [String], locality: TableLocality<Row>,
        survival: SurvivalGoal = .zone, placement: Placement = .unrestricted, mode: ReplicationMode = .synchronous,
        failover: FailoverPolicy = .manual
    ) {
        self.init(
            name: name, survival: survival, placement: placement, mode: mode, failover: failover
        ) { () throws(MeridianError) in
            let columns = if let columns { columns } else { try RowShape<Row>(name: name).columns }
            var key: [Int] = []
            for column in keyColumns { key.append(try TableLayout.position(of: column, in: columns, table: name)) }
            let locality = try locality.resolve { () throws(MeridianError) in try RowShape<Row>(name: name) }
            return try TableLayout(name: name, columns: columns, key: key, locality: locality)
        }
    }

    init(
        name: String, survival: SurvivalGoal, placement: Placement, mode: ReplicationMode, failover: FailoverPolicy,
        regions: [Region]? = nil, merge: Convergence<Row>.Merge? = nil,
        layout: () throws(MeridianError) -> TableLayout
    ) {
        self.name = name
        self.survival = survival
        self.placement = placement
        self.mode = mode
        self.failover = failover
        self.regions = regions
        self.merge = merge
        declared = Result(catching: layout)
    }

    /// Says whether the declaration makes sense, before the first operation does.
    /// - Throws: `.invalidTable`, naming what is wrong and what to do.
    public func validate() throws(MeridianError) { _ = try layout }

    /// The schema and the locality that the declaration amounts to.
    package var layout: TableLayout {
        get throws(MeridianError) { try declared.get() }
    }
}

/// Rows and keys, to and from the values that are stored.
extension Table {
    /// The row's values, in the order of the columns. Its key and its region are among them
    /// (`TableSchema.keyValues(of:)`, `TableSchema.region(of:)`).
    /// - Throws: `.invalidTable`, `.typeMismatch`, or what the row's own `encode(to:)` throws.
    package func encode(_ row: Row) throws -> [Value] {
        try layout.encoder.encode(row)
    }

    /// - Throws: `.invalidTable`, `.typeMismatch`, or what the row's own `init(from:)` throws.
    package func decode(_ values: [Value]) throws -> Row {
        try layout.decoder.decode(Row.self, from: values)
    }

    /// A key that is given without its row, one part for each key column.
    /// - Throws: `.invalidTable`, or `.typeMismatch` if the parts are not as many as the columns, or not of their type.
    package func keyValues<each Part: Encodable>(_ part: repeat each Part) throws -> [Value] {
        let layout = try layout
        let values = try keyPrefixValues(repeat each part)
        guard values.count == layout.schema.keyColumns.count else { throw layout.wrongKeyCount(values.count) }
        return values
    }

    /// The first parts of a key, which many rows may share.
    /// - Throws: as `keyValues`.
    package func keyPrefixValues<each Part: Encodable>(_ part: repeat each Part) throws -> [Value] {
        let layout = try layout
        var values: [Value] = []
        for part in repeat each part {
            guard values.count < layout.schema.keyColumns.count else { throw layout.wrongKeyCount(values.count + 1) }
            values.append(try layout.encoder.encode(part, column: layout.schema.keyColumns[values.count]))
        }
        return values
    }
}

/// What a table's declaration amounts to: a valid schema, and the coders for its rows.
package struct TableLayout: Sendable {
    package let schema: TableSchema
    package let locality: Locality
    package let encoder: RowEncoder
    package let decoder: RowDecoder
    /// Of an active-active table.
    var resolvers: ResolverPlan?

    /// - Throws: `.invalidTable`.
    package init(
        name: String, columns: [ColumnSchema], key: [Int], locality: Locality
    ) throws(MeridianError) {
        var regionColumn: Int?
        if case .regionalByRow(let column) = locality {
            regionColumn = try Self.position(of: column, in: columns, table: name)
        }
        schema = TableSchema(name: name, columns: columns, keyColumns: key, regionColumn: regionColumn)
        try schema.validate()
        self.locality = locality
        encoder = RowEncoder(name: name, columns: columns)
        decoder = RowDecoder(name: name, columns: columns)
    }

    static func position(
        of column: String, in columns: [ColumnSchema], table name: String
    ) throws(MeridianError) -> Int {
        if let position = columns.firstIndex(where: { $0.name == column }) { return position }
        let names = columns.map(\.name).joined(separator: ", ")
        throw MeridianError(.invalidTable, "table \(name): there is no column \(column) among \(names)")
    }

    fileprivate func wrongKeyCount(_ count: Int) -> MeridianError {
        let names = schema.keyColumns.map { schema.columns[$0].name }.joined(separator: ", ")
        return MeridianError(.typeMismatch, "the key of table \(schema.name) is (\(names)), \(count) values were given")
    }
}
