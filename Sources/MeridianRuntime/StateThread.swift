import MeridianCore
import MeridianReplica
import Synchronization

/// Runs a node's state queue on a thread of its own.
final class StateThread: @unchecked Sendable {
    private struct Control {
        var isStarted = false
        var isStopped = false
        var isCrash = false
    }

    private let queue: StateQueue
    private let control = Mutex(Control())
    private let wake = WakeSignal()
    private let ended = WakeSignal()

    init(_ queue: StateQueue) { self.queue = queue }

    /// There is something to do.
    func wakeUp() { wake.signal() }

    /// - Parameter finished: is told how far the ranges are durable; of none when it fails or the node stops.
    func checkpoint(_ finished: @escaping @Sendable ([RangeID: LogIndex]) -> Void) {
        if queue.append(.checkpoint(finished)) { wake.signal() } else { finished([:]) }
    }

    /// - Parameter finished: is told whether it was done.
    func scrub(_ finished: @escaping @Sendable (Bool) -> Void) {
        if queue.append(.scrub(finished)) { wake.signal() } else { finished(false) }
    }

    func start(for driver: NodeDriver) {
        control.withLock { $0.isStarted = true }
        EngineThread.start("meridian.state.\(driver.node)") { [self] in
            EngineThread.yieldToOthers()
            loop(driver)
            ended.signal()
        }
    }

    func stop(isCrash: Bool) {
        queue.close()
        let isStarted = control.withLock { control in
            control.isStopped = true
            control.isCrash = isCrash
            return control.isStarted
        }
        guard isStarted else { return close(isCrash: isCrash) }
        wake.signal()
        ended.wait(untilNanoseconds: nil)
    }

    private func loop(_ driver: NodeDriver) {
        var mustRest = false
        while true {
            let (isStopped, isCrash) = control.withLock { ($0.isStopped, $0.isCrash) }
            if isStopped, isCrash || mustRest || queue.isEmpty { return close(isCrash: isCrash) }
            if mustRest {
                wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + ShellTiming.fullDiskNanoseconds)
                mustRest = false
                continue
            }
            guard let work = queue.begin() else {
                wake.wait(untilNanoseconds: nil)
                continue
            }
            let outcome = queue.perform(work)
            queue.end(work, outcome)
            if let trouble = outcome.trouble { driver.note(trouble.error, while: trouble.activity) }
            for event in outcome.events { driver.enqueue(event) }
            mustRest = outcome.isToBeTriedAgain
            EngineThread.runAdopted(while: { queue.isEmpty })
        }
    }

    private func close(isCrash: Bool) {
        queue.abandon()
        if !isCrash { _ = try? queue.store.checkpoint() }
        try? queue.store.close()
    }
}
