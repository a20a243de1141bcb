import MeridianClock
import MeridianCore
import Testing

@Suite struct SimulatedClockTests {
    private let second: Int64 = 1_000_000_000
    private let origin = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

    @Test(arguments: UInt64(1)...50)
    func sawtoothAlwaysHoldsTheTrueTimeUnlessToldToLie(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var clock = SimulatedClock(seed: seed, origin: origin)
        var time = origin
        var last = clock.moment(at: time)
        var widest: Int64 = 0
        for step in 0..<2_000 {
            time = time.advanced(byNanoseconds: Int64(random.below(3_000_000_000)))
            if step == 1_000 { clock.inject(.losePolls, at: time) }
            if step == 1_200 { clock.heal() }
            let moment = clock.moment(at: time)
            #expect(moment.clock.contains(time))
            #expect(moment.instant >= last.instant)
            #expect(moment.clock.earliest >= last.clock.earliest)
            if !(1_000..<1_200).contains(step) { #expect(moment.clock.widthNanoseconds <= 14_000_000) }
            widest = max(widest, moment.clock.widthNanoseconds)
            last = moment
        }
        #expect(widest > 20_000_000, "without polls the error grows: \(widest) ns")
    }

    @Test func errorGrowsFromOneToSevenMillisecondsBetweenPolls() {
        var clock = SimulatedClock(seed: 1, origin: origin)
        let widths = (0..<6_000).map { tenth in
            clock.moment(at: origin.advanced(byNanoseconds: Int64(tenth) * second / 10)).clock.widthNanoseconds
        }
        #expect(widths.max().map { (13_900_000...14_000_000).contains($0) } == true)
        #expect(widths.min().map { (1_000_000...2_100_000).contains($0) } == true)
        let drops = zip(widths, widths.dropFirst()).count { $1 < $0 - 3_000_000 }
        #expect((19...21).contains(drops), "600 s hold 20 polls, \(drops) seen")
    }

    @Test func theCourseDependsOnTheSeedAndNotOnTheReadings() {
        let end = origin.advanced(byNanoseconds: 500 * second)
        var once = SimulatedClock(seed: 9, origin: origin)
        var often = SimulatedClock(seed: 9, origin: origin)
        var other = SimulatedClock(seed: 10, origin: origin)
        for tick in 0..<5_000 { _ = often.moment(at: origin.advanced(byNanoseconds: Int64(tick) * second / 10)) }
        let moment = once.moment(at: end)
        #expect(often.moment(at: end).instant == moment.instant)
        #expect(often.moment(at: end).clock.latest == moment.clock.latest)
        #expect(other.moment(at: end) != moment)
    }

    @Test func aLieLeavesTheTruthOutUntilHealedAndOutlived() {
        for lie in [-second, second] {
            var clock = SimulatedClock(seed: 2, origin: origin)
            var time = origin.advanced(byNanoseconds: second)
            clock.inject(.lie(byNanoseconds: lie), at: time)
            #expect(!clock.moment(at: time).clock.contains(time))
            clock.heal()
            time = time.advanced(byNanoseconds: second / 100)
            // Ahead by a second, it has no word to say until that second has passed.
            #expect(clock.moment(at: time).clock.isKnown == (lie < 0))
            time = time.advanced(byNanoseconds: second + second / 50)
            #expect(clock.moment(at: time).clock.contains(time))
        }
    }

    @Test func aStepLastsUntilTheNextPoll() {
        var clock = SimulatedClock(seed: 3, origin: origin)
        clock.inject(.step(byNanoseconds: -second), at: origin)
        #expect(!clock.moment(at: origin).clock.contains(origin))
        let later = origin.advanced(byNanoseconds: 30 * second)
        #expect(clock.moment(at: later).clock.contains(later))
    }

    @Test func aFrozenClockStandsStillWhileInstantsGoOn() {
        var clock = SimulatedClock(seed: 4, origin: origin)
        clock.inject(.freeze, at: origin)
        let first = clock.moment(at: origin)
        let later = origin.advanced(byNanoseconds: 5 * second)
        let second = clock.moment(at: later)
        #expect(second.clock == first.clock)
        #expect(!second.clock.contains(later))
        #expect(second.instant > first.instant)
        clock.heal()
        #expect(clock.moment(at: later).clock.contains(later))
    }

    @Test func aPerfectClockHasNoError() {
        var clock = SimulatedClock(seed: 5, configuration: .perfect, origin: origin)
        let time = origin.advanced(byNanoseconds: 77 * second)
        #expect(clock.moment(at: time).clock == ClockInterval(earliest: time, latest: time))
        #expect(clock.moment(at: time).instant == Instant(nanoseconds: 77 * second))
    }

    @Test func sourcesInRealTimeAgreeWithEachOtherAndCanBeTold() {
        let sources = (1...3).map { SimulatedTimeSource(seed: $0) }
        for _ in 0..<1_000 {
            for source in sources {
                let before = SimulatedTimeSource.trueTime()
                let interval = source.now().clock
                let after = SimulatedTimeSource.trueTime()
                #expect(interval.earliest <= after && interval.latest >= before)
            }
        }
        sources[0].inject(.lie(byNanoseconds: 60 * second))
        #expect(sources[0].now().clock.earliest > SimulatedTimeSource.trueTime())
        sources[1].inject(.loseBound)
        #expect(!sources[1].now().clock.isKnown)
        sources[1].heal()
        #expect(sources[1].now().clock.isKnown)
    }

    /// A machine that slept with its monotonic clock: instants stand still until they are where they would be.
    @Test func instantsThatWereLostNeverComeBackAndNeverGoBack() {
        let origin = Timestamp(nanoseconds: 1_000_000_000_000)
        var clock = SimulatedClock(seed: 1, configuration: .perfect, origin: origin)
        func instant(_ milliseconds: Int64) -> Int64 {
            clock.moment(at: origin.advanced(byNanoseconds: milliseconds * 1_000_000)).instant.rawValue
        }
        let before = instant(5_000)
        clock.inject(.loseInstants(byNanoseconds: 3_000_000_000), at: origin.advanced(byNanoseconds: 5_000_000_000))
        clock.heal()
        #expect(instant(5_100) == before)
        #expect(instant(9_000) == before + 1_000_000_000)
    }
}
