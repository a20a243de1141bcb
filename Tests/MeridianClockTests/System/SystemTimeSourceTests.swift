import CMeridianSystem
import Dispatch
import MeridianCore
import Synchronization
import Testing

@testable import MeridianClock

@Suite struct SystemTimeSourceTests {
    @Test func declaredBoundGivesThatIntervalAroundTheWallClock() {
        let source = SystemTimeSource(errorBound: .declared(.milliseconds(5)))
        let moment = source.now()
        #expect(moment.clock.isKnown)
        // Wider than twice the bound only by the time between the two clocks' readings.
        #expect(moment.clock.widthNanoseconds >= 10_000_000)
        #expect(moment.clock.latest.rawValue > 1_700_000_000_000_000_000)
    }

    @Test func readingsNeverGoBackInOneThread() {
        let source = SystemTimeSource(errorBound: .declared(.zero))
        var last = source.now()
        for _ in 0..<100_000 {
            let moment = source.now()
            guard moment.clock.isKnown else { continue }
            if moment.instant < last.instant || moment.clock.earliest < last.clock.earliest {
                Issue.record("\(moment) after \(last)")
            }
            last = moment
        }
    }

    @Test func threadsDoNotMakeEachOtherUnknown() {
        let source = SystemTimeSource(errorBound: .declared(.milliseconds(1)))
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            var last = source.now()
            for _ in 0..<20_000 {
                let moment = source.now()
                if !moment.clock.isKnown || moment.instant < last.instant {
                    Issue.record("\(moment) after \(last)")
                }
                last = moment
            }
        }
    }

    /// Machines without a time daemon, such as most containers, say that they do not know.
    @Test func kernelBoundIsUnknownOrHoldsTheWallClock() {
        let kernel = SystemTimeSource(errorBound: .kernel)
        let wall = SystemTimeSource(errorBound: .declared(.zero))
        for _ in 0..<1_000 {
            let before = wall.now().clock
            let moment = kernel.now()
            let after = wall.now().clock
            guard moment.clock.isKnown, before.isKnown, after.isKnown else { continue }
            #expect(moment.clock.earliest <= after.latest && moment.clock.latest >= before.earliest)
        }
    }

    /// The daemon corrects the clock by 5 ms, and its bound with it, at each place where the reading thread can be held
    /// up for 200 ms: whatever is read after the other, the interval holds the true time.
    @Test(arguments: 0..<6) func theBoundIsThatOfTheReading(correctedAfter place: Int) {
        let world = Mutex((monotonic: Int64(1_000_000_000), readings: 0, isCorrected: false))
        @Sendable func read<Value>(_ value: @Sendable (_ monotonic: Int64, _ isCorrected: Bool) -> Value) -> Value {
            world.withLock { world in
                let value = value(world.monotonic, world.isCorrected)
                world.readings += 1
                if world.readings == place {
                    world.monotonic += 200_000_000
                    world.isCorrected = true
                }
                return value
            }
        }
        let source = SystemTimeSource(
            errorBound: .kernel,
            machine: .init(
                monotonic: { read { monotonic, _ in monotonic } },
                realtime: { read { monotonic, isCorrected in monotonic + (isCorrected ? 0 : 5_000_000) } },
                kernel: {
                    read { _, isCorrected in
                        meridian_kernel_clock(
                            error: 0, is_unsynchronised: 0, maximum_error_us: isCorrected ? 10 : 5_000)
                    }
                }))
        for _ in 0..<2 {
            let moment = source.now()
            #expect(moment.clock.isKnown)
            #expect(moment.clock.earliest.rawValue <= moment.instant.rawValue)
            #expect(moment.clock.latest.rawValue >= moment.instant.rawValue)
        }
    }
}
