import MeridianCore
import Synchronization

/// A `SimulatedClock` that runs in real time, for clusters in one process: demonstrations and benches see realistic
/// clock error, and faults, on a machine whose own clock is the true time for all of its nodes. Thread-safe.
package final class SimulatedTimeSource: TimeSource {
    private let clock: Mutex<SimulatedClock>

    /// The same for all sources of a process, so that their true times are one.
    private static let start = (
        realtime: SystemClock.realtimeNanoseconds(), monotonic: SystemClock.monotonicNanoseconds()
    )

    package init(seed: UInt64, configuration: SimulatedClock.Configuration = .init()) {
        let origin = Self.trueTime()
        self.clock = Mutex(SimulatedClock(seed: seed, configuration: configuration, origin: origin))
    }

    package func now() -> Moment {
        clock.withLock { $0.moment(at: Self.trueTime()) }
    }

    /// What the simulated clocks are measured against: the system's monotonic clock, started at its wall clock.
    package static func trueTime() -> Timestamp {
        Timestamp(nanoseconds: start.realtime + SystemClock.monotonicNanoseconds() - start.monotonic)
    }

    package func inject(_ fault: SimulatedClockFault) {
        clock.withLock { $0.inject(fault, at: Self.trueTime()) }
    }

    package func heal() {
        clock.withLock { $0.heal() }
    }
}
