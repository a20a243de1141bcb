import MeridianCore
import MeridianReplica
import Synchronization

/// Runs a node's log queue on a thread of its own, and checkpoints and rewrites the log's file when nobody waits.
final class LogThread: @unchecked Sendable {
    private struct Control {
        var scrubs: [Scrub] = []
        var isStarted = false
        var isStopped = false
        var isCrash = false
    }

    private struct Scrub {
        var forgotten: [RangeID: LogIndex]
        var finished: @Sendable (Bool) -> Void
    }

    private let queue: LogQueue
    private let control = Mutex(Control())
    private let wake = WakeSignal()
    private let ended = WakeSignal()

    /// The log is checkpointed when this much is pending and nobody waits; at the limit also when somebody does.
    private static let checkpointBytes = 2 << 20
    private static let checkpointLimitBytes = 7 << 20
    private static let quietNanoseconds: Int64 = 5_000_000

    init(_ queue: LogQueue) { self.queue = queue }

    /// There is something to write.
    func wakeUp() { wake.signal() }

    /// Rewrites the log's file when what waits is written (`LogStore.scrub`). Nothing else is written meanwhile.
    /// - Parameter finished: is told whether it was done.
    func scrub(_ forgotten: [RangeID: LogIndex], _ finished: @escaping @Sendable (Bool) -> Void) {
        let isStopped = control.withLock { control in
            if !control.isStopped { control.scrubs.append(Scrub(forgotten: forgotten, finished: finished)) }
            return control.isStopped
        }
        if isStopped { finished(false) } else { wake.signal() }
    }

    func start(for driver: NodeDriver, send: @escaping @Sendable (NodeFrame) -> Void) {
        control.withLock { $0.isStarted = true }
        EngineThread.start("meridian.log.\(driver.node)") { [self] in
            loop(driver, send)
            ended.signal()
        }
    }

    func stop(isCrash: Bool) {
        let isStarted = control.withLock { control in
            control.isStopped = true
            control.isCrash = isCrash
            return control.isStarted
        }
        guard isStarted else { return close(isCrash: isCrash) }
        wake.signal()
        ended.wait(untilNanoseconds: nil)
    }

    private func loop(_ driver: NodeDriver, _ send: @Sendable (NodeFrame) -> Void) {
        while true {
            var scrubs: [Scrub] = []
            let (isStopped, isCrash) = control.withLock { control in
                swap(&scrubs, &control.scrubs)
                return (control.isStopped, control.isCrash)
            }
            if isStopped {
                for scrub in scrubs { scrub.finished(false) }
                return close(isCrash: isCrash)
            }
            if queue.begin() {
                write(driver, send)
                if queue.store.pendingCheckpointByteCount > Self.checkpointLimitBytes { try? queue.store.checkpoint() }
            } else if scrubs.isEmpty {
                rest()
            }
            for scrub in scrubs { scrub.finished(!queue.isDead && (try? queue.store.scrub(scrub.forgotten)) ?? false) }
        }
    }

    /// Writes what the queue has taken until it succeeds, or never will, or the node stops.
    private func write(_ driver: NodeDriver, _ send: @Sendable (NodeFrame) -> Void) {
        while true {
            let written = queue.perform()
            for frame in written.frames { send(frame) }
            for event in written.events { driver.enqueue(event) }
            EngineThread.runAdopted(while: { !queue.isWaiting })
            guard written.isToBeTriedAgain else { return }
            wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + ShellTiming.fullDiskNanoseconds)
            if control.withLock({ $0.isStopped }) { return }
        }
    }

    private func close(isCrash: Bool) {
        if !isCrash { try? queue.store.checkpoint() }
        try? queue.store.close()
    }

    /// Waits for work. A checkpoint is written only when there has been none for a while: the gaps between the batches
    /// of a busy log are too short for it.
    private func rest() {
        guard queue.store.pendingCheckpointByteCount > Self.checkpointBytes, !queue.isDead else {
            return wake.wait(untilNanoseconds: nil)
        }
        wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + Self.quietNanoseconds)
        if !queue.isWaiting, control.withLock({ $0.scrubs.isEmpty && !$0.isStopped }) { try? queue.store.checkpoint() }
    }
}
