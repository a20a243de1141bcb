import MeridianCore

/// Two writes of a row that did not know of each other, and what came of it.
package struct Conflict: Hashable, Sendable {
    package enum Kind: UInt8, Hashable, Sendable {
        // The numbers are in stored rows: never change or reuse one.
        /// The later write's value holds, the other's is gone from the row.
        case overwritten = 1
        /// Both values are kept, and shown as siblings.
        case kept = 2
        /// The row is deleted, and with it what was written at the same time.
        case deleted = 3
        /// The row is there, although it was deleted at the same time.
        case revived = 4
    }

    package var kind: Kind
    /// Which field of the shape; `nil` for the row as a whole.
    package var field: Int?
    package var winner: WriteStamp
    /// Of a row that is deleted, its latest write: the deletion may have seen that one, and not an earlier one.
    package var loser: WriteStamp
    /// What the loser has written: the field's columns, or the whole row where it was deleted; nothing for a deletion.
    package var content: [Value]

    package init(kind: Kind, field: Int?, winner: WriteStamp, loser: WriteStamp, content: [Value]) {
        self.kind = kind
        self.field = field
        self.winner = winner
        self.loser = loser
        self.content = content
    }
}
