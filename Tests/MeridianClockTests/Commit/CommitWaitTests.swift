import MeridianClock
import MeridianCore
import Testing

@Suite struct CommitWaitTests {
    private func clock(_ earliest: Int64) -> ClockInterval {
        ClockInterval(earliest: Timestamp(rawValue: earliest), latest: Timestamp(rawValue: earliest + 20))
    }

    private func moment(_ instant: Int64, _ clock: ClockInterval) -> Moment {
        Moment(instant: Instant(nanoseconds: instant), clock: clock)
    }

    @Test func aCommitWaitsUntilItsTimestampHasCertainlyPassed() {
        var wait = CommitWait()
        wait.insert(Timestamp(rawValue: 100), 7)
        #expect(wait.ready(at: clock(99)).isEmpty)
        #expect(wait.ready(at: clock(100)).isEmpty)
        #expect(wait.ready(at: clock(101)) == [7])
        #expect(wait.ready(at: clock(102)).isEmpty)
        #expect(wait.isEmpty)
    }

    @Test func tokensComeInTheOrderOfTimestampsAndThenOfInsertion() {
        var wait = CommitWait()
        for (timestamp, token) in [(30, 1), (10, 2), (20, 3), (10, 4), (30, 5), (10, 6)] as [(Int64, UInt64)] {
            wait.insert(Timestamp(rawValue: timestamp), token)
        }
        #expect(wait.ready(at: clock(21)) == [2, 4, 6, 3])
        #expect(wait.count == 2)
        #expect(wait.removeAll() == [1, 5])
        #expect(wait.isEmpty)
    }

    @Test func anUnknownClockReleasesNothing() {
        var wait = CommitWait()
        wait.insert(Timestamp(rawValue: .min), 1)
        #expect(wait.ready(at: .unknown).isEmpty)
        #expect(
            wait.nextDeadline(at: moment(5, .unknown))
                == Instant(nanoseconds: 5 + CommitWait.retryNanoseconds))
    }

    @Test func theDeadlineIsWhenEarliestWillHavePassedTheFirst() {
        var wait = CommitWait()
        #expect(wait.nextDeadline(at: moment(1_000, clock(50))) == nil)
        wait.insert(Timestamp(rawValue: 90), 1)
        wait.insert(Timestamp(rawValue: 70), 2)
        #expect(wait.nextDeadline(at: moment(1_000, clock(50))) == Instant(nanoseconds: 1_021))
        #expect(wait.ready(at: clock(71)) == [2])
        #expect(wait.nextDeadline(at: moment(1_021, clock(71))) == Instant(nanoseconds: 1_041))
        #expect(wait.nextDeadline(at: moment(2_000, clock(500))) == Instant(nanoseconds: 2_000))
        wait.insert(.distantFuture, 3)
        #expect(wait.ready(at: clock(500)) == [1])
        #expect(wait.nextDeadline(at: moment(0, clock(-5))) == .distantFuture)
    }

    /// Each prediction would be one nanosecond ahead, and whoever follows them would spin.
    @Test func aClockThatStandsStillIsNotAskedAllTheTime() {
        var wait = CommitWait()
        wait.insert(Timestamp(rawValue: 100), 1)
        #expect(wait.nextDeadline(at: moment(10, clock(100))) == Instant(nanoseconds: 11))
        #expect(wait.nextDeadline(at: moment(10, clock(100))) == Instant(nanoseconds: 11))
        #expect(
            wait.nextDeadline(at: moment(11, clock(100)))
                == Instant(nanoseconds: 11 + CommitWait.stuckNanoseconds))
        #expect(wait.nextDeadline(at: moment(200, clock(101))) == Instant(nanoseconds: 200))
    }

    /// As a leaseholder uses both: no token before its time, none lost, none twice.
    @Test(arguments: UInt64(1)...20)
    func everyCommitIsReleasedOnceInOrderAndNeverEarly(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var source = SimulatedClock(seed: seed)
        var allocator = TimestampAllocator()
        var wait = CommitWait()
        var released: [Timestamp] = []
        var assigned: [Timestamp] = []
        var time = Timestamp.zero
        for _ in 0..<2_000 {
            time = time.advanced(byNanoseconds: Int64(random.below(2_000_000)))
            let now = source.moment(at: time)
            if random.below(3) > 0, let timestamp = allocator.assign(at: now.clock) {
                wait.insert(timestamp, UInt64(timestamp.rawValue))
                assigned.append(timestamp)
            }
            for token in wait.ready(at: now.clock) {
                let timestamp = Timestamp(rawValue: Int64(token))
                #expect(timestamp < time)
                released.append(timestamp)
            }
        }
        #expect(released + wait.removeAll().map { Timestamp(rawValue: Int64($0)) } == assigned)
        #expect(released.count > 1_000)
    }
}
