import MeridianCore

/// One copy of an active-active table: a range of its own, with keys of its own.
package struct TableCopy: Hashable, Sendable {
    package enum State: UInt8, Hashable, Sendable {
        // The numbers are in stored tables: never change or reuse one.
        /// It takes in what the others have, and nobody reads or writes it yet.
        case joining = 1
        case active = 2
        /// It is out of use: lost, or given up. Its number stays taken.
        case retired = 3
    }

    /// In front of the copy's keys, instead of the table's own number, and the name of the copy's writes. A number is
    /// given out once: who takes the place of a lost copy cannot be taken for it.
    package var number: TableID
    package var range: RangeID
    package var region: Region
    package var state: State

    package init(number: TableID, range: RangeID, region: Region, state: State) {
        self.number = number
        self.range = range
        self.region = region
        self.state = state
    }
}
