import MeridianCore
import MeridianPlacement
import Testing

@Suite struct MeasuredRouterTests {
    private let millisecond: Int64 = 1_000_000

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    /// - Parameter window: 1 where the last measurement alone is to count.
    private func router(
        _ latencies: [(Region, Int64)] = [("near", 10), ("far", 80)], window: Int = 5
    ) -> MeasuredRouter {
        var configuration = MeasuredRouter.Configuration()
        configuration.window = window
        configuration.confirmations = 3
        var router = MeasuredRouter(regions: latencies.map(\.0), configuration: configuration)
        for (region, latency) in latencies {
            router.probed(region, roundTripNanoseconds: latency * millisecond, at: .zero)
        }
        return router
    }

    @Test func beforeAnyMeasurementTheFirstRegionIsUsed() {
        #expect(MeasuredRouter(regions: ["b", "a"]).region == "b")
    }

    @Test func theFirstMeasurementsDecideAtOnce() {
        var router = MeasuredRouter(regions: ["far", "near"])
        router.probed("near", roundTripNanoseconds: 10 * millisecond, at: .zero)
        #expect(router.region == "near")
    }

    @Test func aBetterRegionMustBeBetterSeveralTimesInARow() {
        var router = router([("a", 50), ("b", 60)], window: 1)
        for (latency, expected) in [(Int64(20), "a"), (20, "a"), (90, "a"), (20, "a")] {
            router.probed("b", roundTripNanoseconds: latency * millisecond, at: .zero)
            #expect(router.region == Region(expected))
        }
        for _ in 0..<3 { router.probed("b", roundTripNanoseconds: 10 * millisecond, at: .zero) }
        #expect(router.region == "b")
    }

    @Test func twoThatAreAsFarDoNotTakeTurns() {
        var router = router([("a", 50), ("b", 50)], window: 1)
        for number in 0..<100 {
            let (one, other): (Int64, Int64) = number % 2 == 0 ? (48, 52) : (52, 48)
            router.probed("a", roundTripNanoseconds: one * millisecond, at: .zero)
            router.probed("b", roundTripNanoseconds: other * millisecond, at: .zero)
            #expect(router.region == "a")
        }
    }

    @Test func aRegionThatAnswersSlowlyLosesItsClientsAfterAFewProbes() {
        var router = router()
        var rounds = 0
        while router.region == "near", rounds < 20 {
            rounds += 1
            router.probed("near", roundTripNanoseconds: 500 * millisecond, at: .zero)
            router.probed("far", roundTripNanoseconds: 80 * millisecond, at: .zero)
        }
        #expect(router.region == "far")
        #expect((3...6).contains(rounds))
    }

    @Test func latencyIsTheMedianOfTheLastFiveProbes() {
        var router = router([("near", 90)])
        for latency in [Int64(10), 30, 20, 500, 600] {
            router.probed("near", roundTripNanoseconds: latency * millisecond, at: .zero)
        }
        #expect(router.latencyNanoseconds(of: "near") == 30 * millisecond)
    }

    @Test func oneSlowProbeMovesNobody() {
        var router = router()
        for _ in 0..<2 { router.probed("near", roundTripNanoseconds: 10 * millisecond, at: .zero) }
        router.probed("near", roundTripNanoseconds: 100 * millisecond, at: .zero)
        for _ in 0..<3 {
            router.probed("near", roundTripNanoseconds: 10 * millisecond, at: .zero)
            router.probed("far", roundTripNanoseconds: 80 * millisecond, at: .zero)
        }
        #expect(router.region == "near")
    }

    @Test func failuresInARowMoveItAtOnceAndASuccessBetweenDoesNot() {
        var router = router()
        for _ in 0..<2 { router.failed("near", at: .zero) }
        router.succeeded("near")
        for _ in 0..<2 { router.failed("near", at: .zero) }
        #expect(router.region == "near")
        router.failed("near", at: .zero)
        #expect(router.region == "far")
        #expect(router.health(of: "near") == .failed(until: at(5)))
    }

    @Test func aRegionThatAnswersProbesAndServesNoRequestsFails() {
        var router = router()
        for _ in 0..<3 {
            router.probed("near", roundTripNanoseconds: 10 * millisecond, at: .zero)
            router.failed("near", at: .zero)
        }
        #expect(router.region == "far")
    }

    @Test func aRegionThatAnswersNoProbesFails() {
        var router = router()
        for _ in 0..<3 {
            router.succeeded("near")
            router.probeFailed("near", at: .zero)
        }
        #expect(router.region == "far")
    }

    @Test func aFailedRegionIsProbedAgainOnlyAfterItsCoolDown() {
        var router = router()
        _ = router.probesDue(at: .zero)
        for _ in 0..<3 { router.failed("near", at: at(1)) }
        #expect(router.probesDue(at: at(5.9)) == ["far"])
        #expect(router.nextProbe == at(6))
        #expect(router.probesDue(at: at(6)) == ["near"])
        #expect(router.health(of: "near") == .halfOpen(successes: 0))
    }

    @Test func aHalfOpenRegionGetsNoRequestsUntilItHasSucceededOftenEnough() {
        var router = router()
        for _ in 0..<3 { router.failed("near", at: .zero) }
        _ = router.probesDue(at: at(5))
        router.probed("near", roundTripNanoseconds: 10 * millisecond, at: at(5))
        #expect(router.health(of: "near") == .halfOpen(successes: 1) && router.region == "far")
        router.probed("near", roundTripNanoseconds: 10 * millisecond, at: at(10))
        #expect(router.health(of: "near") == .healthy)
        for _ in 0..<2 { router.probed("near", roundTripNanoseconds: 10 * millisecond, at: at(15)) }
        #expect(router.region == "near")
    }

    @Test func oneFailureSendsAHalfOpenRegionBack() {
        var router = router()
        for _ in 0..<3 { router.failed("near", at: .zero) }
        _ = router.probesDue(at: at(5))
        router.failed("near", at: at(6))
        #expect(router.health(of: "near") == .failed(until: at(11)))
    }

    @Test func lateNewsOfAFailedRegionChangeNothing() {
        var router = router()
        for _ in 0..<3 { router.failed("near", at: .zero) }
        router.probed("near", roundTripNanoseconds: millisecond, at: at(1))
        router.failed("near", at: at(2))
        #expect(router.health(of: "near") == .failed(until: at(5)))
    }

    @Test func whereAllHaveFailedTheNearestIsAsked() {
        var router = router([("near", 10), ("far", 80), ("farther", 200)])
        for region in ["near", "far", "farther"] as [Region] {
            for _ in 0..<3 { router.failed(region, at: .zero) }
        }
        #expect(router.region == "near")
    }

    @Test func alternativesAreTheHealthyByDistanceThenTheRest() {
        var router = router([("near", 10), ("far", 80), ("farther", 200), ("middle", 50)])
        for _ in 0..<3 { router.failed("middle", at: .zero) }
        #expect(router.alternatives(to: "near") == ["far", "farther", "middle"])
    }
}
