/// The numbers that stand for a table and its indexes in front of every key. Names may change; these do not.

/// One table of the cluster, numbered when it is created and never reused.
package struct TableID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }

    /// The cluster's own rows: schemas, placements, the directory of ranges. Users' tables start above it.
    package static let system = TableID(0)

    package static func < (lhs: TableID, rhs: TableID) -> Bool { lhs.rawValue < rhs.rawValue }
    package var description: String { "table\(rawValue)" }
}

/// One index of a table. The primary index holds the rows themselves.
package struct IndexID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package init(_ rawValue: UInt8) { self.rawValue = rawValue }

    package static let primary = IndexID(0)
    /// An active-active table's own changes, which its other copies pull. The state file's index of changes is of these
    /// keys alone (`StateReader.changes`).
    package static let outbox = IndexID(3)
    /// An active-active table's recorded conflicts.
    package static let conflicts = IndexID(4)
    /// How far a copy of an active-active table has pulled each other one.
    package static let cursors = IndexID(5)
    /// An active-active table's marks of rows that were erased.
    package static let erasures = IndexID(6)
    /// Those of them whose rows the copy has still to look for.
    package static let openErasures = IndexID(7)

    package static func < (lhs: IndexID, rhs: IndexID) -> Bool { lhs.rawValue < rhs.rawValue }
    package var description: String { "index\(rawValue)" }
}
