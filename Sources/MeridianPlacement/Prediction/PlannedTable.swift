import MeridianCore

/// A table as a plan describes it: how its rows are homed, what is asked of it from where, and what its owner wishes.
package struct PlannedTable: Hashable, Sendable {
    /// What the owner wishes; `nil` asks for nothing. Times in nanoseconds.
    package struct Wishes: Hashable, Sendable {
        /// The longest p50 of a write, from any client region.
        package var writeBudgetNanoseconds: Int64?
        /// The longest p50 of a read that is as fresh as `stalenessNanoseconds` asks, from any client region.
        package var readBudgetNanoseconds: Int64?
        /// How old what a read shows may be; 0 means that reads must be strong.
        package var stalenessNanoseconds: Int64?
        /// How much of the last commits the loss of a region may take; 0 means none.
        package var rpoNanoseconds: Int64?
        /// How long the table may stand still when a region is lost.
        package var rtoNanoseconds: Int64?
        /// Whether two regions may change a row at the same time and have it merged afterwards.
        package var toleratesConflicts: Bool

        package init(
            writeBudgetNanoseconds: Int64? = nil, readBudgetNanoseconds: Int64? = nil,
            stalenessNanoseconds: Int64? = nil, rpoNanoseconds: Int64? = nil, rtoNanoseconds: Int64? = nil,
            toleratesConflicts: Bool = false
        ) {
            self.writeBudgetNanoseconds = writeBudgetNanoseconds
            self.readBudgetNanoseconds = readBudgetNanoseconds
            self.stalenessNanoseconds = stalenessNanoseconds
            self.rpoNanoseconds = rpoNanoseconds
            self.rtoNanoseconds = rtoNanoseconds
            self.toleratesConflicts = toleratesConflicts
        }
    }

    package var name: String
    package var locality: Locality
    package var placement: Placement
    /// What the table is, or is to be; `nil` when that is the question.
    package var mode: PlannedMode?
    /// Bytes of a typical row, its key included.
    package var rowBytes: Int
    /// By client region; a region that is left out asks for nothing.
    package var writesPerSecond: [Region: Double]
    package var readsPerSecond: [Region: Double]
    package var wishes: Wishes

    package init(
        name: String, locality: Locality, placement: Placement = .unrestricted, mode: PlannedMode? = nil,
        rowBytes: Int = 256, writesPerSecond: [Region: Double] = [:], readsPerSecond: [Region: Double] = [:],
        wishes: Wishes = Wishes()
    ) {
        precondition(rowBytes > 0, "rows of \(rowBytes) bytes")
        self.name = name
        self.locality = locality
        self.placement = placement
        self.mode = mode
        self.rowBytes = rowBytes
        self.writesPerSecond = writesPerSecond
        self.readsPerSecond = readsPerSecond
        self.wishes = wishes
    }

    /// The regions that ask for something, in the topology's order; all of them when no rate is given.
    package func clientRegions(of topology: Topology) -> [Region] {
        let asking = topology.regions.filter { writes(from: $0) > 0 || reads(from: $0) > 0 }
        return asking.isEmpty ? topology.regions : asking
    }

    /// The regions that write; those that ask for anything when no write is counted.
    package func writingRegions(of topology: Topology) -> [Region] {
        let writing = topology.regions.filter { writes(from: $0) > 0 }
        return writing.isEmpty ? clientRegions(of: topology) : writing
    }

    package func writes(from region: Region) -> Double { writesPerSecond[region] ?? 0 }
    package func reads(from region: Region) -> Double { readsPerSecond[region] ?? 0 }
}
