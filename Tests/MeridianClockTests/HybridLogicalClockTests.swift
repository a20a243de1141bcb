import MeridianClock
import MeridianCore
import Testing

@Suite struct HybridLogicalClockTests {
    private func at(_ time: Int64) -> ClockInterval {
        ClockInterval(earliest: Timestamp(rawValue: time), latest: Timestamp(rawValue: time))
    }

    private func stamp(_ physical: Int64, _ logical: UInt32) -> HybridTimestamp {
        HybridTimestamp(physical: Timestamp(rawValue: physical), logical: logical)
    }

    @Test func stampsFollowTheClockAndCountWhileItStands() {
        var clock = HybridLogicalClock()
        #expect(clock.tick(at: at(10)) == stamp(10, 0))
        #expect(clock.tick(at: at(10)) == stamp(10, 1))
        #expect(clock.tick(at: at(4)) == stamp(10, 2))
        #expect(clock.tick(at: .unknown) == stamp(10, 3))
        #expect(clock.tick(at: at(11)) == stamp(11, 0))
    }

    @Test func receiptComesAfterTheMessage() {
        var clock = HybridLogicalClock(maximumOffsetNanoseconds: 100)
        #expect(clock.observe(stamp(50, 7), at: at(10)) == stamp(50, 8))
        #expect(clock.observe(stamp(20, 9), at: at(11)) == stamp(50, 9))
        #expect(clock.observe(stamp(50, 3), at: at(60)) == stamp(60, 0))
    }

    @Test func stampsFromTooFarAheadAreRefused() {
        var clock = HybridLogicalClock(maximumOffsetNanoseconds: 100)
        #expect(clock.observe(stamp(111, 0), at: at(10)) == nil)
        #expect(clock.observe(stamp(50, 0), at: .unknown) == nil)
        #expect(clock.last == .zero)
        #expect(clock.observe(stamp(110, 0), at: at(10)) == stamp(110, 1))
    }

    @Test func aFullCounterMovesTheTime() {
        var clock = HybridLogicalClock(last: stamp(10, .max))
        #expect(clock.tick(at: at(5)) == stamp(11, 0))
    }
}
