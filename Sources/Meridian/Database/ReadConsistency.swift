import MeridianCore

/// As of when a `read` closure sees the store, and so how near to the client it can be served.
///
/// Whatever is chosen, all reads of the closure are as of one timestamp, over any tables, rows and regions: one
/// consistent state, without locks. All but `strong` are served by the nearest replica that holds the rows, follower or
/// learner, in the client's own region where it has one, as soon as its rows are complete up to that timestamp;
/// otherwise, or where asking is sooner than waiting, by the leaseholder, within the deadline. docs/CONSISTENCY.md has
/// what each promises.
public enum ReadConsistency: Hashable, Sendable {
    /// Every commit, in any region, that had returned before the first read began. Served by the leaseholders, except
    /// in a global table, which every region reads from its own replica.
    case strong
    /// As of exactly so long ago. Reads through one clock of the client's region; a negative duration counts as zero.
    case exactStaleness(Duration)
    /// As fresh as the nearest replicas can be read without waiting, and at most this old. A negative duration counts
    /// as zero.
    case boundedStaleness(Duration)
    /// As of this timestamp, for example a receipt's or another read's. What it returns never changes.
    case at(Timestamp)
    /// As fresh as the nearest replicas can be read, and not before the token: a session reads its own writes, from any
    /// device and in any region.
    case after(CausalToken)
}

extension ReadConsistency {
    /// How far ahead of the region's clock a timestamp may lie that a client gives.
    static let maximumLead = Duration.milliseconds(500)

    func checkLead(_ timestamp: Timestamp, now: Timestamp) throws(MeridianError) {
        guard timestamp > now.advanced(byNanoseconds: Self.maximumLead.nanoseconds) else { return }
        throw MeridianError(
            .readInFuture,
            "the read is as of \((timestamp.rawValue - now.rawValue) / 1_000_000) ms after the present; wait until "
                + "then, or give a timestamp that a receipt or a read returned")
    }
}
