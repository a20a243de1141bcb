import MeridianConvergence
import MeridianCore

/// A conflict that an active-active table has had: two writes that did not know of each other.
public struct RowConflict<Row: Codable & Sendable>: Sendable {
    public enum Kind: String, Hashable, Sendable {
        /// The later write's value holds, the other is gone from the row.
        case overwritten
        /// Both values are kept, until somebody who has seen them writes the row.
        case kept
        /// The row is deleted, and what was written at the same time with it.
        case deleted
        /// The row is there, although it was deleted at the same time.
        case revived
    }

    public var kind: Kind
    /// The parts of the row's key, as text.
    public var key: [String]
    /// The columns that the losing write was about.
    public var columns: [String]
    /// What the losing write had put there, column by column as text; empty for a deletion.
    public var lost: [String: String]
    /// The row as it would be with the losing write; `nil` for a deletion, or where the row is not there any more.
    public var row: Row?
    public var winner: Write
    public var loser: Write

    public struct Write: Hashable, Sendable {
        /// When it was made, by its region's clock.
        public var time: Timestamp
        /// Where; `nil` for a region that nothing is known of any more.
        public var region: Region?
    }
}

extension RowConflict.Kind {
    init(_ kind: Conflict.Kind) {
        switch kind {
        case .overwritten: self = .overwritten
        case .kept: self = .kept
        case .deleted: self = .deleted
        case .revived: self = .revived
        }
    }
}
