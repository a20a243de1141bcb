import MeridianCore

/// What a commit returns: when it happened, and where its time went.
public struct Receipt: Hashable, Sendable {
    /// The commit's name. Asking again with it returns this commit instead of making another.
    public var id: RequestID
    /// When the commit happened, on the clock that all regions share. Any commit that starts after this receipt was
    /// returned has a higher timestamp (external consistency).
    public var timestamp: Timestamp
    public var latency: Latency
    /// A proof of this commit: whoever reads after it sees what was written here. `Database.transact`, which alone
    /// gives receipts out, puts it in.
    public internal(set) var token = CausalToken.blank
    /// How often the closure ran.
    public var attempts: Int

    /// Where a commit's time went. `total` is about `route + locks + quorum + commitWait`. Of a commit over several
    /// ranges `locks` to `commitWait` are those of the range that took longest to prepare; all else, a second round
    /// too, is `route`.
    public struct Latency: Hashable, Sendable {
        /// From the call to the answer.
        public var total: Duration
        /// To the leaseholder and back, and waiting for one where there was none.
        public var route: Duration
        /// Waiting for other commits on the same rows, and checking the preconditions.
        public var locks: Duration
        /// Until the leaseholder's own log was durable. It overlaps with `quorum`.
        public var log: Duration
        /// Until a quorum's logs were durable, as the table's mode asks.
        public var quorum: Duration
        /// What the clock's uncertainty added: the time after the quorum until the timestamp was past everywhere.
        public var commitWait: Duration

        init() {
            (total, route, locks) = (.zero, .zero, .zero)
            (log, quorum, commitWait) = (.zero, .zero, .zero)
        }
    }
}
