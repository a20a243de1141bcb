import DequeModule
import MeridianCore

/// What the disk has been given and what it holds, while writes are asynchronous (thesis §10.2.1).
///
/// A job is confirmed some time after it was handed out, and by then the log may have been overwritten by another
/// leader, even twice, back to the very same entries. Comparing terms at the time of the confirmation would then
/// count a copy that a later job is about to erase. So every job carries its claim, and truncation lowers the claims
/// of all jobs that are under way: a late confirmation can never speak for entries that were overwritten since.
extension RaftLog {
    /// Whether the disk lags behind what has been put into memory.
    package var isFullyPersisted: Bool { jobs.isEmpty && !hasUnscheduled }
    package var hasUnscheduled: Bool { needsReset || scheduled < lastIndex }
    /// When the oldest job that is under way was handed out.
    package var oldestPendingSince: Instant? { jobs.first?.since }

    /// Hands out what the disk has not been given yet.
    package mutating func schedule(
        _ token: PersistToken, at instant: Instant
    ) -> (reset: LogPosition?, entries: [Entry]) {
        precondition(jobs.last.map { $0.token < token } ?? true, "token \(token.rawValue) is not the next")
        let reset = needsReset ? base : nil
        let entries = slice(from: scheduled.next, through: lastIndex)
        let isWrite = reset != nil || !entries.isEmpty
        // A job that only carries messages claims what the jobs before it do.
        let claim = isWrite ? lastIndex : (jobs.last?.claim ?? persisted)
        scheduled = lastIndex
        needsReset = false
        jobs.append(PendingJob(token: token, claim: claim, since: instant))
        return (reset, entries)
    }

    /// The jobs up to `token` are durable.
    /// - Returns: whether `persisted` rose.
    package mutating func confirm(_ token: PersistToken) -> Bool {
        var rose = false
        while let job = jobs.first, job.token <= token {
            if job.claim > persisted {
                persisted = job.claim
                rose = true
            }
            jobs.removeFirst()
        }
        return rose
    }
}
