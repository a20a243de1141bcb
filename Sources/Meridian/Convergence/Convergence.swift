import MeridianConvergence
import MeridianCore

/// How an active-active table brings together what its regions write at the same time.
///
/// Every region has a copy of its own, in which it reads and commits without asking anybody; copies exchange what they
/// have written and converge. A write is what the application changes against what its copy showed it: so a row stays a
/// plain struct, and `visits += 1` in two regions counts twice.
///
/// ```swift
/// struct Cart: Codable, Sendable { var id: UUID; var owner: String; var visits: Int; var items: Set<String> }
/// let carts = Table<Cart>(
///     "carts", key: \.id, convergence: .columns(.counter("visits"), .addWinsSet("items")))
/// ```
///
/// Whether a row is there at all is decided by the latest of its writes and deletions. What loses is recorded
/// (`Database.conflicts(of:)`).
public struct Convergence<Row: Codable & Sendable>: Sendable {
    /// Joins two values that were written at the same time. It must give the same answer to the same question.
    /// - Parameters:
    ///   - ancestor: what both were made from, where that is known.
    ///   - earlier: the one with the earlier stamp.
    ///   - later: the one with the later stamp.
    public typealias Merge = @Sendable (_ ancestor: Row?, _ earlier: Row, _ later: Row) throws -> Row

    let columns: [ColumnResolver<Row>]
    let others: Resolver
    let isWhole: Bool
    let merge: Merge?

    private init(_ others: Resolver, columns: [ColumnResolver<Row>] = [], isWhole: Bool, merge: Merge? = nil) {
        self.others = others
        self.columns = columns
        self.isWhole = isWhole
        self.merge = merge
    }

    /// The latest write of a row holds, by hybrid logical clocks; the other is recorded.
    public static var lastWriterWins: Convergence { Convergence(.lastWriterWins, isWhole: true) }

    /// Both writes of a row are kept until somebody who has seen them writes again. A read returns the latest;
    /// `siblings(of:)` returns all.
    public static var siblings: Convergence { Convergence(.siblings, isWhole: true) }

    /// Both writes of a row are kept, and reads show what the application makes of them. Nothing that it does wrong can
    /// damage the rows: until somebody writes again, all that was written is still there.
    public static func merge(_ merge: @escaping Merge) -> Convergence {
        Convergence(.merge, isWhole: true, merge: merge)
    }

    /// Column by column; of the columns that are not named, the latest write of each holds.
    public static func columns(_ columns: ColumnResolver<Row>...) -> Convergence {
        Convergence(.lastWriterWins, columns: columns, isWhole: false)
    }

    /// The resolvers by position.
    /// - Throws: `.invalidTable`, `.resolverMismatch`.
    func plan(
        _ name: String, _ columns: [ColumnSchema], shape: () throws(MeridianError) -> RowShape<Row>
    ) throws(MeridianError) -> ResolverPlan {
        var plan = ResolverPlan(others: others, isWhole: isWhole)
        for column in self.columns {
            let position = try column.position(name, columns, shape)
            guard plan.columns.updateValue(column.resolver, forKey: position) == nil else {
                throw MeridianError(
                    .resolverMismatch, "table \(name): column \(columns[position].name) has two resolvers; name it once"
                )
            }
        }
        return plan
    }
}

/// How one column of an active-active table is resolved.
public struct ColumnResolver<Row: Codable & Sendable>: Sendable {
    let resolver: Resolver
    let position:
        @Sendable (String, [ColumnSchema], () throws(MeridianError) -> RowShape<Row>) throws(MeridianError) -> Int

    private init(_ resolver: Resolver, _ column: String) {
        self.resolver = resolver
        position = { name, columns, _ throws(MeridianError) in
            try TableLayout.position(of: column, in: columns, table: name)
        }
    }

    private init<Field: Codable & Hashable & Sendable>(
        _ resolver: Resolver, _ path: any KeyPath<Row, Field> & Sendable
    ) {
        self.resolver = resolver
        position = { _, _, shape throws(MeridianError) in try shape().position(of: path) }
    }

    /// The latest write of the column holds (LWW-Register); the other is recorded.
    public static func lastWriterWins(_ column: String) -> ColumnResolver { .init(.lastWriterWins, column) }
    /// An integer that is added to and taken from (PN-Counter): all changes count.
    public static func counter(_ column: String) -> ColumnResolver { .init(.counter, column) }
    /// An integer that is only added to (G-Counter). A write that would lower it is refused with `.resolverMismatch`.
    public static func growOnlyCounter(_ column: String) -> ColumnResolver { .init(.growOnlyCounter, column) }
    /// A `Set` or an array taken for one (OR-Set): an element that one region adds while another removes it stays.
    public static func addWinsSet(_ column: String) -> ColumnResolver { .init(.addWinsSet, column) }
    /// A `Set` that only grows (G-Set). A write that would remove an element is refused with `.resolverMismatch`.
    public static func growOnlySet(_ column: String) -> ColumnResolver { .init(.growOnlySet, column) }
    /// Both values of the column are kept (multi-value register): `siblings(of:)` returns the row once for each.
    public static func siblings(_ column: String) -> ColumnResolver { .init(.siblings, column) }

    public static func lastWriterWins<Field: Codable & Hashable & Sendable>(
        _ column: any KeyPath<Row, Field> & Sendable
    ) -> ColumnResolver { .init(.lastWriterWins, column) }
    public static func counter<Field: Codable & Hashable & Sendable>(
        _ column: any KeyPath<Row, Field> & Sendable
    ) -> ColumnResolver { .init(.counter, column) }
    public static func growOnlyCounter<Field: Codable & Hashable & Sendable>(
        _ column: any KeyPath<Row, Field> & Sendable
    ) -> ColumnResolver { .init(.growOnlyCounter, column) }
    public static func addWinsSet<Field: Codable & Hashable & Sendable>(
        _ column: any KeyPath<Row, Field> & Sendable
    ) -> ColumnResolver { .init(.addWinsSet, column) }
    public static func growOnlySet<Field: Codable & Hashable & Sendable>(
        _ column: any KeyPath<Row, Field> & Sendable
    ) -> ColumnResolver { .init(.growOnlySet, column) }
    public static func siblings<Field: Codable & Hashable & Sendable>(
        _ column: any KeyPath<Row, Field> & Sendable
    ) -> ColumnResolver { .init(.siblings, column) }
}

extension Table {
    /// An active-active table: every region of `regions` reads and commits in a copy of its own, and the copies
    /// converge.
    ///
    /// A commit is durable in its region (a majority of three zones where there are as many), not elsewhere yet: what a
    /// region has not shipped is gone if it loses its disks. Transactions are atomic and isolated inside a region;
    /// other regions see their rows as they arrive, row by row.
    /// - Parameters:
    ///   - regions: where there are copies; `nil` for all regions. Clients elsewhere use the nearest copy.
    ///   - placement: a restricted table's regions must all be of one jurisdiction.
    public init<Key: Codable & Hashable & Sendable>(
        _ name: String, key: any KeyPath<Row, Key> & Sendable, convergence: Convergence<Row>,
        in regions: [Region]? = nil,
        placement: Placement = .unrestricted
    ) {
        self.init(name, convergence, regions, placement) { shape throws(MeridianError) in [try shape.position(of: key)]
        }
    }

    /// The same with a key of several columns, by their names.
    public init(
        _ name: String, keyColumns: [String], convergence: Convergence<Row>, in regions: [Region]? = nil,
        placement: Placement = .unrestricted
    ) {
        self.init(name, convergence, regions, placement) { shape throws(MeridianError) in
            var key: [Int] = []
            for column in keyColumns {
                key.append(try TableLayout.position(of: column, in: shape.columns, table: name))
            }
            return key
        }
    }

    private init(
        _ name: String, _ convergence: Convergence<Row>, _ regions: [Region]?, _ placement: Placement,
        key: (RowShape<Row>) throws(MeridianError) -> [Int]
    ) {
        self.init(
            name: name, survival: .zone, placement: placement, mode: .synchronous, failover: .manual, regions: regions,
            merge: convergence.merge
        ) { () throws(MeridianError) in
            let shape = try RowShape<Row>(name: name)
            var layout = try TableLayout(
                name: name, columns: shape.columns, key: try key(shape), locality: .activeActive)
            let plan = try convergence.plan(name, shape.columns) { () throws(MeridianError) in shape }
            try plan.validate(layout.schema)
            layout.resolvers = plan
            return layout
        }
    }
}
