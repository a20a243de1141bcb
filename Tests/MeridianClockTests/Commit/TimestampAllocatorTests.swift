import MeridianClock
import MeridianCore
import Testing

@Suite struct TimestampAllocatorTests {
    private func clock(_ reading: Int64, error: Int64 = 10) -> ClockInterval {
        ClockInterval(reading: Timestamp(rawValue: reading), errorNanoseconds: error)
    }

    @Test func takesTheLatestThatTheTimeCanBe() {
        var allocator = TimestampAllocator()
        #expect(allocator.assign(at: clock(1_000))?.rawValue == 1_010)
        #expect(allocator.lastAssigned?.rawValue == 1_010)
    }

    @Test func eachBoundPushesItOneFurther() {
        let bounds: [(inout TimestampAllocator) -> Void] = [
            { $0.observeRead(Timestamp(rawValue: 5_000)) }, { $0.close(Timestamp(rawValue: 5_000)) },
            { $0.raiseFloor(Timestamp(rawValue: 5_000)) },
        ]
        for bound in bounds {
            var allocator = TimestampAllocator()
            bound(&allocator)
            #expect(allocator.assign(at: clock(1_000))?.rawValue == 5_001)
            #expect(allocator.assign(at: clock(1_000))?.rawValue == 5_002)
            #expect(allocator.assign(at: clock(9_000))?.rawValue == 9_010)
        }
        var allocator = TimestampAllocator(floor: Timestamp(rawValue: 7_000))
        #expect(allocator.assign(at: clock(1_000))?.rawValue == 7_001)
    }

    @Test func anUnknownClockGivesNone() {
        var allocator = TimestampAllocator(floor: Timestamp(rawValue: 7_000))
        #expect(allocator.assign(at: .unknown) == nil)
        #expect(allocator.lastAssigned == nil)
        #expect(allocator.assign(at: clock(0))?.rawValue == 7_001)
    }

    @Test func theEndOfTimeGivesNone() {
        var allocator = TimestampAllocator(floor: Timestamp(rawValue: .max - 2))
        #expect(allocator.assign(at: clock(0))?.rawValue == Int64.max - 1)
        #expect(allocator.assign(at: clock(0)) == nil)
    }

    @Test(arguments: UInt64(1)...50)
    func neverRepeatsAndNeverGoesBack(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var allocator = TimestampAllocator()
        var last = Timestamp.zero
        var highestBound = Timestamp.zero
        for _ in 0..<1_000 {
            let reading = clock(Int64(random.below(1_000)) + 10, error: Int64(random.below(10)))
            let bound = Timestamp(rawValue: Int64(random.below(1_500)))
            switch random.below(5) {
            case 0:
                allocator.observeRead(bound)
                highestBound = max(highestBound, bound)
            case 1:
                allocator.close(bound)
                highestBound = max(highestBound, bound)
            case 2:
                #expect(allocator.assign(at: .unknown) == nil)
            default:
                guard let timestamp = allocator.assign(at: reading) else {
                    Issue.record("no timestamp at \(reading)")
                    continue
                }
                #expect(timestamp > last && timestamp > highestBound && timestamp >= reading.latest)
                last = timestamp
            }
        }
    }
}
