import MeridianConsensus
import MeridianCore
import Testing

@Suite struct LeasePromiseTests {
    private func moment(_ time: Int64, error: Int64 = 5, instant: Int64? = nil) -> Moment {
        Moment(
            instant: Instant(rawValue: instant ?? time),
            clock: ClockInterval(reading: Timestamp(rawValue: time), errorNanoseconds: error))
    }

    private func unknown(_ instant: Int64) -> Moment { Moment(instant: Instant(rawValue: instant), clock: .unknown) }

    @Test func itHoldsUntilEarliestIsPast() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        #expect(!promise.isActive(at: moment(0)))
        let did1 = promise.accept(Timestamp(rawValue: 50), at: moment(10))
        #expect(did1)
        #expect(promise.isActive(at: moment(50)))
        #expect(promise.isActive(at: moment(55)))
        #expect(!promise.isActive(at: moment(56)))
    }

    @Test func itIsNotMadeTooFarAhead() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        let did2 = promise.accept(Timestamp(rawValue: 105), at: moment(10))
        #expect(did2)
        let did3 = promise.accept(Timestamp(rawValue: 106), at: moment(10))
        #expect(!did3)
    }

    @Test func theFarthestCounts() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        let did4 = promise.accept(Timestamp(rawValue: 90), at: moment(10))
        #expect(did4)
        let did5 = promise.accept(Timestamp(rawValue: 40), at: moment(10))
        #expect(did5)
        #expect(promise.until == Timestamp(rawValue: 90))
    }

    @Test func aRestartKeepsTheMostThatCanHaveBeenPromised() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        promise.restart(at: moment(1000))
        #expect(promise.until == Timestamp(rawValue: 1105))
        #expect(promise.isActive(at: moment(1110)))
        #expect(!promise.isActive(at: moment(1111)))
    }

    @Test func aRestartWithoutAClockWaitsForIt() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        promise.restart(at: unknown(0))
        #expect(promise.isActive(at: unknown(150)))
        let later = moment(5000, instant: 160)
        #expect(promise.isActive(at: later))
        promise.resolve(at: later)
        #expect(promise.until == Timestamp(rawValue: 5105))
    }

    @Test func aClockThatKnowsNothingPromisesNothing() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        let did6 = promise.accept(Timestamp(rawValue: 50), at: unknown(0))
        #expect(!did6)
        #expect(!promise.isActive(at: unknown(0)))
    }

    /// A bad clock makes elections slower, not impossible.
    @Test func withoutAClockItEndsByTheMonotonicOne() {
        var promise = LeasePromise(maximumNanoseconds: 100)
        _ = promise.accept(Timestamp(rawValue: 100), at: moment(10))
        #expect(promise.isActive(at: unknown(210)))
        #expect(!promise.isActive(at: unknown(211)))
    }

    @Test func switchedOffItNeverBinds() {
        var promise = LeasePromise(maximumNanoseconds: 0)
        promise.restart(at: moment(0))
        let did7 = promise.accept(Timestamp(rawValue: 0), at: moment(10))
        #expect(!did7)
        #expect(!promise.isActive(at: moment(0)))
    }
}
