import CMeridianSystem
import MeridianCore
import Testing

@testable import MeridianClock

@Suite struct KernelErrorBoundTests {
    private func answer(_ microseconds: Int64, unsynchronised: Bool = false, error: Int32 = 0) -> meridian_kernel_clock
    {
        meridian_kernel_clock(
            error: error, is_unsynchronised: unsynchronised ? 1 : 0, maximum_error_us: microseconds)
    }

    @Test func growsByTheKernelsDriftBetweenPolls() {
        var bound = KernelErrorBound()
        var polls = 0
        func read(_ milliseconds: Int64) -> Int64? {
            let instant = Instant(nanoseconds: milliseconds * 1_000_000)
            bound.poll(at: instant) {
                polls += 1
                return answer(2_000)
            }
            return bound.errorNanoseconds(at: instant)
        }
        // 2 ms, plus what the kernel may not have added yet.
        #expect(read(1_000) == 2_500_000)
        #expect(read(1_040) == 2_520_000)
        #expect(read(1_099) == 2_549_500)
        #expect(polls == 1)
        #expect(read(1_100) == 2_500_000)
        #expect(polls == 2)
    }

    @Test func anUnsynchronisedOrSilentKernelHasNoBound() {
        for useless in [answer(2_000, unsynchronised: true), answer(0, error: 1), answer(-1)] {
            var bound = KernelErrorBound()
            func read(_ milliseconds: Int64, _ answer: meridian_kernel_clock) -> Int64? {
                let instant = Instant(nanoseconds: milliseconds * 1_000_000)
                bound.poll(at: instant) { answer }
                return bound.errorNanoseconds(at: instant)
            }
            #expect(read(0, useless) == nil)
            #expect(read(50, answer(1)) == nil)
            #expect(read(100, answer(1)) == 501_000)
        }
    }
}

@Suite struct MonotonicGuardTests {
    private func interval(_ earliest: Int64, _ latest: Int64) -> ClockInterval {
        ClockInterval(earliest: Timestamp(rawValue: earliest), latest: Timestamp(rawValue: latest))
    }

    @Test func earliestNeverGoesBack() {
        var guardian = MonotonicGuard()
        #expect(guardian.admit(interval(10, 20)) == interval(10, 20))
        #expect(guardian.admit(interval(5, 25)) == interval(10, 25))
        #expect(guardian.admit(interval(12, 14)) == interval(12, 14))
        #expect(guardian.admit(interval(3, 12)) == interval(12, 12))
    }

    @Test func aContradictionMakesTheClockUnknownUntilItHasCaughtUp() {
        var guardian = MonotonicGuard()
        _ = guardian.admit(interval(100, 120))
        #expect(guardian.admit(interval(50, 70)) == .unknown)
        #expect(guardian.admit(.unknown) == .unknown)
        #expect(guardian.admit(interval(85, 105)) == interval(100, 105))
    }
}
