import MeridianCore

/// A transaction of several ranges that a range has not done with, as its leaseholder sees it. No row is in it.
public struct HeldTransaction: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// Its rows are held: strong reads and writes of them wait until it is decided.
        case prepared
        /// It has committed here, and not every other range is known to know.
        case committed
        /// It was aborted because of a loss (`UndoneCommit`), and nobody has reported it yet.
        case undone
    }

    /// The commit's name, as in its receipt.
    public var request: RequestID
    /// Which attempt of it.
    public var attempt: UInt64
    public var state: State
    /// Who holds it.
    public var holder: RowSet
    /// Who decides, if it is there.
    public var anchor: RowSet
    /// Whose rows it writes.
    public var participants: [RowSet]
    /// When it was prepared, has committed, or would have.
    public var timestamp: Timestamp
    /// For how long it has been so, by the clock of the region that asks.
    public var age: Duration
}

/// The rows of one table that name one region, or a region's copy of an active-active table: what one range holds.
public struct RowSet: Hashable, Sendable, Codable {
    public var table: String
    public var region: String
    /// It has no more part in anything: a copy that was retired, or rows that were given up.
    public var isGivenUp: Bool
}

/// What `Database.heldTransactions(deadline:)` has found.
public struct HeldTransactions: Sendable {
    /// The oldest first.
    public var transactions: [HeldTransaction]
    /// Whose leaseholders have not answered: what they hold is not in it.
    public var unanswered: [RowSet]
}

/// A transaction that was undone because a home region or a copy was given up, or a failover has cut the end of a log:
/// what it had written in ranges that live is not there either.
public struct UndoneCommit: Hashable, Sendable, Codable {
    /// The commit's name, as in its receipt.
    public var request: String
    /// When it would have committed, or later; in nanoseconds since 1970.
    public var timestamp: Int64
    /// Whose rows it would have written.
    public var participants: [RowSet]
    /// Its client may have been told that it had committed. Then whoever knows what it meant decides whether to write
    /// it again; its rows in a lost home region are in `EmbeddedCluster.unshippedCommits(of:)` when that is back.
    public var mayHaveBeenAcknowledged: Bool
}
