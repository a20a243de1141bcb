/// When a commit is acknowledged: what it costs and what the loss of the home region can take (DESIGN §6, §10).
public enum ReplicationMode: Hashable, Sendable {
    /// On a quorum of the voters. Nothing acknowledged is lost as long as a quorum lives.
    case synchronous
    /// On a quorum of the home region and in this many other regions (at least 1). Losing the home region loses
    /// nothing acknowledged, but the table stands still until a copy is promoted.
    case semiSynchronous(remoteRegions: Int)
    /// On a quorum of the home region; other regions follow. Losing the home region loses what was not yet shipped.
    case asynchronous
}
