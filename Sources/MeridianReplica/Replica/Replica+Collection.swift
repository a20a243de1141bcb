import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// The threshold below which old versions are collected: a command in the range's log (DESIGN §7).
///
/// The leaseholder proposes it, every replica applies it in the log's order, and everything goes by what is applied:
/// the stores collect below it, reads and commit checks below it are refused (`Evaluation`), snapshots bring it along.
/// So no node's clock decides what another one may still read, and a version is nowhere missing that is promised
/// anywhere.
///
/// Which one is proposed:
///
/// - At most the retention before a time that is past on a clock that a majority of the cluster's clocks vouch for
///   (`NodeCore.vouchedTime`). A clock that has jumped since it was last compared moves nothing.
/// - At most what is closed, and below what is prepared: no later command lies at or below it.
/// - At most what somebody protects (`protectedTimestamp`): a backup or a feed, by a record in the catalog; a read that
///   waits here, by itself. A snapshot that is being sent needs no protection: it is a picture, with its threshold.
///
/// It never falls, and a successor that lags proposes nothing below it. Why no read misses a version: a read as of `s`
/// looks at the rows first and at the threshold of the store afterwards, and the store learns of a threshold before it
/// collects below it. If `s` is not below it then, nothing that the read could see had gone when it looked.
///
/// Pace: one command an interval while the range is awake. A quiescent range is woken once, when all that it has
/// written may be collected; then there is nothing to raise the threshold for.
extension Replica {
    /// Looks whether old versions may go, when that is due.
    /// - Parameter wanted: the retention ago; `nil` when no clock can be trusted with it, or nothing can be written.
    mutating func raiseThreshold(to wanted: Timestamp?, at now: Moment) {
        guard let due = nextCollection, now.instant >= due else { return }
        guard isServing else {
            // Serving begins with a look.
            nextCollection = nil
            return
        }
        guard let wanted else {
            let wait = min(collectionIntervalNanoseconds, Self.clockPatienceNanoseconds)
            nextCollection = now.instant.advanced(byNanoseconds: wait)
            return
        }
        nextCollection = now.instant.advanced(byNanoseconds: collectionIntervalNanoseconds)
        if raft.isQuiescent {
            let newest = dispatched.transactions.highest
            guard newest > dispatched.threshold else {
                nextCollection = nil
                return
            }
            guard wanted >= newest else {
                let wait = max(newest.rawValue - wanted.rawValue, collectionIntervalNanoseconds)
                nextCollection = now.instant.advanced(byNanoseconds: wait)
                return
            }
        }
        compareIfChanged(at: now)
        let threshold = collectable(wanted)
        let (rise, overflow) = threshold.rawValue.subtractingReportingOverflow(dispatched.threshold.rawValue)
        guard overflow || rise >= collectionIntervalNanoseconds else { return }
        raft.receive(.upkeep(.collect(below: threshold)), at: now)
    }

    /// The highest threshold at or below the wanted one that nobody needs to be lower.
    func collectable(_ wanted: Timestamp) -> Timestamp {
        var threshold = min(closable(min(wanted, closed.usable)), protectedTimestamp)
        for read in local.waiting { threshold = min(threshold, read.timestamp) }
        for read in local.evaluating.values { threshold = min(threshold, read.timestamp) }
        for served in serving?.requests.values ?? [:].values {
            if case .read(_, let timestamp) = served.body { threshold = min(threshold, timestamp) }
        }
        return threshold
    }

    /// Something is written, so there will be something to collect.
    mutating func noteCollection(at now: Moment) {
        guard nextCollection == nil, isServing else { return }
        nextCollection = now.instant.advanced(byNanoseconds: collectionIntervalNanoseconds)
    }

    /// How long a clock that nobody vouches for is waited for.
    private static var clockPatienceNanoseconds: Int64 { 500_000_000 }
}
