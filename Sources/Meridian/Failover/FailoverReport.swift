import MeridianCore

/// What a failover has done, and what it can have cost.
public struct FailoverReport: Hashable, Sendable, Codable {
    public var table: String
    /// The region that the rows name; the same as `from`, unless the home had moved before.
    public var partition: String
    /// The region that was given up.
    public var from: String
    /// The region that serves now.
    public var to: String
    /// Which history of these rows has begun, counted from 0.
    public var generation: UInt32
    /// The node whose copy the new history continues.
    public var seed: String
    /// Whether every acknowledged commit is in that copy for certain: its mode kept copies elsewhere, or the replicas
    /// of the old home took part in the failover themselves.
    public var isLossless: Bool
    /// Every commit up to this timestamp is in that copy; in nanoseconds since 1970.
    public var completeTo: Int64
    /// No commit of the old home was acknowledged at or after this timestamp. `nil` where nobody could see to that:
    /// after a failover by hand of a home region that does not answer, it may go on until it hears of the failover.
    public var fencedAt: Int64?
    /// How much can be lost at most, in milliseconds: from `completeTo` to `fencedAt`. `nil` when that is not known.
    /// When the old home returns, `EmbeddedCluster.unshippedCommits(of:)` says which commits it was exactly.
    public var lostAtMostMilliseconds: Double? {
        if isLossless { return 0 }
        return fencedAt.map { max(0, Double($0 - completeTo) / 1_000_000) }
    }
    /// From the beginning of the failover until the new home had answered a strong read, in milliseconds. What passed
    /// before, until somebody noticed, is not in it. 0 in `Database.failovers(of:deadline:)`.
    public var milliseconds: Double
    /// Transactions that have written these rows and others, and that were undone elsewhere too. Empty in
    /// `Database.failovers(of:deadline:)`: `Database.undoneCommits(deadline:)` has all that ever were.
    public var undone: [UndoneCommit] = []
}
