import MeridianCore
import MeridianReplica
import Synchronization

/// Writes a node's log on a thread of its own: everything that gathered while the last write was under way goes into
/// one transaction and one fsync (group commit).
///
/// A full disk does not lose what waits: it is written again when there is space, and until then the node knows that
/// it must not acknowledge. After any other failure nothing is written again, because nobody knows what the disk
/// holds; consensus notices the silent disk and another replica takes over.
final class LogWriter: @unchecked Sendable {
    private struct Queue {
        var jobs: [LogJob] = []
        var scrubs: [Scrub] = []
        var isStarted = false
        var isStopped = false
        var isCrash = false
    }

    private struct Scrub {
        var forgotten: [RangeID: LogIndex]
        var finished: @Sendable (Bool) -> Void
    }

    private let store: any LogStore
    private let queue = Mutex(Queue())
    /// Transactions written, each with one fsync.
    let writeCount = Atomic<Int>(0)
    private let wake = WakeSignal()
    private let ended = WakeSignal()

    /// The log is checkpointed when this much is pending and nobody waits; at the limit also when somebody does.
    private static let checkpointBytes = 2 << 20
    private static let checkpointLimitBytes = 7 << 20
    private static let quietNanoseconds: Int64 = 5_000_000
    private static let fullDiskRetryNanoseconds: Int64 = 200_000_000

    init(_ store: any LogStore) { self.store = store }

    func enqueue(_ job: LogJob) {
        let wasEmpty = queue.withLock { queue in
            queue.jobs.append(job)
            return queue.jobs.count == 1
        }
        if wasEmpty { wake.signal() }
    }

    /// Rewrites the log's file when what waits is written (`LogStore.scrub`). Nothing else is written meanwhile.
    /// - Parameter finished: is told whether it was done.
    func scrub(_ forgotten: [RangeID: LogIndex], _ finished: @escaping @Sendable (Bool) -> Void) {
        let isStopped = queue.withLock { queue in
            if !queue.isStopped { queue.scrubs.append(Scrub(forgotten: forgotten, finished: finished)) }
            return queue.isStopped
        }
        if isStopped { finished(false) } else { wake.signal() }
    }

    func start(for driver: NodeDriver, send: @escaping @Sendable (NodeFrame) -> Void) {
        queue.withLock { $0.isStarted = true }
        EngineThread.start("meridian.log.\(driver.node)") { [self] in
            loop(driver, send)
            ended.signal()
        }
    }

    func stop(isCrash: Bool) {
        let isStarted = queue.withLock { queue in
            queue.isStopped = true
            queue.isCrash = isCrash
            return queue.isStarted
        }
        guard isStarted else { return close(isCrash: isCrash) }
        wake.signal()
        ended.wait(untilNanoseconds: nil)
    }

    private func loop(_ driver: NodeDriver, _ send: @Sendable (NodeFrame) -> Void) {
        while true {
            var jobs: [LogJob] = []
            var scrubs: [Scrub] = []
            let (isStopped, isCrash) = queue.withLock { queue in
                swap(&jobs, &queue.jobs)
                swap(&scrubs, &queue.scrubs)
                return (queue.isStopped, queue.isCrash)
            }
            if isStopped {
                for scrub in scrubs { scrub.finished(false) }
                return close(isCrash: isCrash)
            }
            if jobs.isEmpty, scrubs.isEmpty {
                rest()
                continue
            }
            guard write(jobs, driver) else {
                for scrub in scrubs { scrub.finished(false) }
                continue
            }
            var confirmations: [PersistConfirmation] = []
            for job in jobs {
                for frame in job.framesAfter { send(frame) }
                confirmations.append(contentsOf: job.confirmations)
            }
            driver.enqueue(.persisted(confirmations))
            for scrub in scrubs { scrub.finished((try? store.scrub(scrub.forgotten)) ?? false) }
            EngineThread.runAdopted(while: { queue.withLock { $0.jobs.isEmpty } })
            if store.pendingCheckpointByteCount > Self.checkpointLimitBytes { try? store.checkpoint() }
        }
    }

    private func close(isCrash: Bool) {
        if !isCrash { try? store.checkpoint() }
        try? store.close()
    }

    /// Waits for work. A checkpoint is written only when there has been none for a while: the gaps between the batches
    /// of a busy log are too short for it.
    private func rest() {
        guard store.pendingCheckpointByteCount > Self.checkpointBytes else { return wake.wait(untilNanoseconds: nil) }
        wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + Self.quietNanoseconds)
        if queue.withLock({ $0.jobs.isEmpty && $0.scrubs.isEmpty && !$0.isStopped }) { try? store.checkpoint() }
    }

    /// Writes until it succeeds.
    /// - Returns: `false` when it never will, or the node stops.
    private func write(_ jobs: [LogJob], _ driver: NodeDriver) -> Bool {
        let writes = jobs.count == 1 ? jobs[0].writes : jobs.flatMap(\.writes)
        guard !writes.isEmpty else { return true }
        var hasFailed = false
        while true {
            do {
                try store.write(writes)
                writeCount.add(1, ordering: .relaxed)
                if hasFailed { driver.enqueue(.logRecovered) }
                return true
            } catch {
                let cause =
                    error as? MeridianError ?? MeridianError(.storageFailed, "the log of \(driver.node): \(error)")
                if !hasFailed { driver.enqueue(.logFailed(cause)) }
                hasFailed = true
                EngineThread.runAdopted()
                guard cause.code == .diskFull else { return waitForStop() }
                wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + Self.fullDiskRetryNanoseconds)
                if queue.withLock({ $0.isStopped }) { return false }
            }
        }
    }

    private func waitForStop() -> Bool {
        while !queue.withLock({ $0.isStopped }) { wake.wait(untilNanoseconds: nil) }
        return false
    }
}
