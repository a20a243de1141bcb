import MeridianCore

/// How one replica of a group behaves. Durations are in nanoseconds.
package struct RaftConfiguration: Hashable, Sendable {
    package var node: NodeID
    package var commitRule: CommitRule
    /// A follower that hears nothing for this long, plus up to as much again at random, asks for votes. It also is
    /// the time within which a leader must hear from a quorum (check-quorum).
    package var electionTimeoutNanoseconds: Int64
    package var heartbeatIntervalNanoseconds: Int64
    /// How far ahead of its own `earliest` a leader asks for a lease; 0 switches leases off.
    package var leaseDurationNanoseconds: Int64
    /// Added to this node's election timeout, so that nodes outside the preferred region campaign later.
    package var electionDelayNanoseconds: Int64 = 0
    package var maximumEntriesPerMessage = 1024
    package var maximumBytesPerMessage = 1 << 20
    /// Limits of what is on its way to one follower.
    package var maximumInflightMessages = 256
    package var maximumInflightBytes = 16 << 20
    /// A leader rejects proposals beyond this many bytes of uncommitted entries.
    package var maximumUncommittedBytes = 64 << 20
    /// A learner whose log ends within this many entries of the commit index may become a voter.
    package var maximumPromotionLag = 256
    /// After this long without anything to do a leader lets its group fall silent; 0 means never.
    package var quiesceAfterNanoseconds: Int64 = 5_000_000_000
    /// Whether a leader with nothing else to send tells its followers at once what is committed. Otherwise they learn
    /// it with the next entries or heartbeat, which saves each lonely commit a message and a reply for every follower.
    package var announcesCommits = true
    /// Seeds the random part of election timeouts.
    package var seed: UInt64

    package init(
        node: NodeID, commitRule: CommitRule, electionTimeoutNanoseconds: Int64, heartbeatIntervalNanoseconds: Int64,
        leaseDurationNanoseconds: Int64, seed: UInt64
    ) {
        self.node = node
        self.commitRule = commitRule
        self.electionTimeoutNanoseconds = electionTimeoutNanoseconds
        self.heartbeatIntervalNanoseconds = heartbeatIntervalNanoseconds
        self.leaseDurationNanoseconds = leaseDurationNanoseconds
        self.seed = seed
    }

    /// The farthest lease that a follower accepts, counted from its own `earliest`. After a restart it keeps every
    /// promise that it can have made by not voting until `earliest` passes `latest` at the restart plus this, so a
    /// promise need not be written to disk.
    package var maximumPromiseNanoseconds: Int64 { 2 * leaseDurationNanoseconds }
    /// The farthest promise that this replica may have made under an earlier configuration, where members change.
    package var restartPromiseNanoseconds: Int64 = 0
}
