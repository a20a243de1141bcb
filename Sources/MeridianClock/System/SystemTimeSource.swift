import CMeridianSystem
import MeridianCore
import Synchronization

/// The machine's clocks as a `TimeSource`: its wall clock with an error bound to either side, and its monotonic clock.
///
/// Promises: instants never go back, and neither does `earliest` while the clock is known (`MonotonicGuard`); a clock
/// without a usable bound is `ClockInterval.unknown`. Thread-safe; about 0.1 µs a reading, without a system call.
///
/// HAZARD: `.declared` is the operator's word and nothing checks it here. If the wall clock is ever farther off, leases
/// can overlap and commits can be acknowledged out of order, until the peers outvote the node (`ClockAgreement`).
package final class SystemTimeSource: TimeSource {
    package enum ErrorBound: Hashable, Sendable {
        /// The wall clock is never farther from the true time than this.
        case declared(Duration)
        /// What the kernel says of itself; unknown when it calls its clock unsynchronised, as most containers and
        /// machines without a time daemon do. Linux only; unknown elsewhere.
        case kernel
    }

    package let errorBound: ErrorBound
    private let state = Mutex(State())

    private struct State: Sendable {
        var kernel = KernelErrorBound()
        var guardian = MonotonicGuard()
    }

    /// Precondition: a declared bound is not negative.
    package convenience init(errorBound: ErrorBound) { self.init(errorBound: errorBound, machine: Machine()) }

    /// What is read, so that tests can come in between two readings.
    struct Machine: Sendable {
        var monotonic: @Sendable () -> Int64 = { SystemClock.monotonicNanoseconds() }
        var realtime: @Sendable () -> Int64 = { SystemClock.realtimeNanoseconds() }
        var kernel: @Sendable () -> meridian_kernel_clock = { meridian_kernel_clock_read() }
    }

    private let machine: Machine

    init(errorBound: ErrorBound, machine: Machine) {
        if case .declared(let bound) = errorBound { precondition(bound >= .zero, "a declared error of \(bound)") }
        self.errorBound = errorBound
        self.machine = machine
    }

    package func now() -> Moment {
        // The clocks are read under the lock: a thread that was held up between reading and telling would otherwise
        // seem to contradict those that came after it.
        state.withLock { state in
            // HAZARD: this thread can be held up between any two readings. So the bound is from before the clock's
            // reading, and has grown until after it.
            if errorBound == .kernel {
                state.kernel.poll(at: Instant(nanoseconds: machine.monotonic()), read: machine.kernel)
            }
            let instant = Instant(nanoseconds: machine.monotonic())
            let reading = Timestamp(nanoseconds: machine.realtime())
            let after = Instant(nanoseconds: machine.monotonic())
            let gap = after.nanoseconds(since: instant)
            let error: Int64? =
                switch errorBound {
                case .declared(let bound): bound.nanoseconds
                case .kernel: state.kernel.errorNanoseconds(at: after)
                }
            guard let error else { return Moment(instant: instant, clock: .unknown) }
            // The reading was taken up to `gap` after the instant, so at the instant it may have been that much less.
            let interval = ClockInterval(
                earliest: reading.advanced(byNanoseconds: -error).advanced(byNanoseconds: -gap),
                latest: reading.advanced(byNanoseconds: error))
            return Moment(instant: instant, clock: state.guardian.admit(interval))
        }
    }
}
