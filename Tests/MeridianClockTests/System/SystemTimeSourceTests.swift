import Dispatch
import MeridianClock
import MeridianCore
import Testing

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
}
