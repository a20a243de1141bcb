import MeridianCore
import MeridianPlacement
import Testing

@Suite struct LocationRouterTests {
    private let paris = Coordinates(latitude: 48.86, longitude: 2.35)
    private let boston = Coordinates(latitude: 42.36, longitude: -71.06)
    private let second: Int64 = 1_000_000_000

    private func router(timeToLive: Int64 = 60_000_000_000) -> LocationRouter {
        LocationRouter(
            sites: RegionSite.aws.filter { ["us-east-1", "eu-central-1", "ap-northeast-1"].contains($0.region) },
            timeToLiveNanoseconds: timeToLive, health: ConsecutiveHealth(failureThreshold: 3, successThreshold: 3))
    }

    private func instant(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * second) }

    @Test func theRegionNearestToTheResolverIsAnswered() {
        #expect(router().answer(.init(resolver: boston)).region == "us-east-1")
        #expect(router().answer(.init(resolver: paris)).region == "eu-central-1")
    }

    @Test func aResolverFarFromItsClientLeadsItAstrayUnlessItSendsTheSubnet() {
        let astray = router().answer(.init(resolver: boston))
        let right = router().answer(.init(resolver: boston, clientSubnet: paris))
        #expect(astray.region == "us-east-1" && !astray.isForSubnet)
        #expect(right.region == "eu-central-1" && right.isForSubnet)
    }

    @Test func answersChangeWithTheThirdFailedCheckAndTheThirdGoodOne() {
        var router = router()
        for _ in 0..<2 { #expect(router.noteCheck(of: "eu-central-1", isSuccess: false) == false) }
        #expect(router.answer(.init(resolver: paris)).region == "eu-central-1")
        #expect(router.noteCheck(of: "eu-central-1", isSuccess: false) == true)
        #expect(router.answer(.init(resolver: paris)).region == "us-east-1")
        for _ in 0..<3 { router.noteCheck(of: "eu-central-1", isSuccess: true) }
        #expect(router.answer(.init(resolver: paris)).region == "eu-central-1")
    }

    @Test func whereAllAreUnhealthyTheNearestIsAnswered() {
        var router = router()
        for site in router.sites { for _ in 0..<3 { router.noteCheck(of: site.region, isSuccess: false) } }
        #expect(router.answer(.init(resolver: paris)).region == "eu-central-1")
    }

    @Test func aResolverKeepsItsAnswerUntilItsTimeIsUp() {
        var router = router()
        var resolver = NameResolver(kind: .local, coordinates: paris, sendsClientSubnet: false)
        let first = resolver.resolve(for: 1, at: paris, with: router, now: instant(0))
        #expect(first.timeToLiveNanoseconds == 60 * second)
        for _ in 0..<3 { router.noteCheck(of: "eu-central-1", isSuccess: false) }
        let later = resolver.resolve(for: 2, at: paris, with: router, now: instant(59))
        #expect(later.region == "eu-central-1" && later.timeToLiveNanoseconds == second)
        #expect(resolver.resolve(for: 2, at: paris, with: router, now: instant(60)).region == "us-east-1")
    }

    @Test func aResolverThatSendsSubnetsKeepsAnAnswerForEach() {
        let router = router()
        var resolver = NameResolver(kind: .open, coordinates: boston, sendsClientSubnet: true)
        let european = resolver.resolve(for: 1, at: paris, with: router, now: .zero)
        let american = resolver.resolve(for: 2, at: boston, with: router, now: .zero)
        #expect(european.region == "eu-central-1" && american.region == "us-east-1")
        #expect(resolver.resolve(for: 1, at: paris, with: router, now: instant(1)).region == "eu-central-1")
    }

    @Test func aResolverThatDoesNotGivesAllClientsTheSame() {
        var resolver = NameResolver(kind: .open, coordinates: boston, sendsClientSubnet: false)
        #expect(resolver.resolve(for: 1, at: paris, with: router(), now: .zero).region == "us-east-1")
    }

    @Test func aClientMayKeepAnAnswerBeyondItsTime() {
        let answer = LocationRouter.Answer(region: "a", timeToLiveNanoseconds: 60 * second, isForSubnet: false)
        #expect(CachedAnswer(answer, at: instant(5)).expiry == instant(65))
        #expect(CachedAnswer(answer, at: instant(5), beyondNanoseconds: 600 * second).expiry == instant(665))
    }

    @Test func resolversAreDrawnAtTheirRates() {
        let population = ResolverPopulation(
            openShare: 0.3, corporateShare: 0.1, strayShare: 0.2, sendsClientSubnet: true)
        var random = SplitMix64(seed: 7)
        var counts: [NameResolver.Kind: Int] = [:]
        var strays = 0
        for _ in 0..<10_000 {
            let (kind, place) = population.draw(
                for: paris, presences: [paris, boston], headquarters: [boston], using: &random)
            counts[kind, default: 0] += 1
            if kind == .open, place == 1 { strays += 1 }
            #expect((place == nil) == (kind == .local))
        }
        #expect(abs(counts[.open, default: 0] - 3000) < 200)
        #expect(abs(counts[.corporate, default: 0] - 1000) < 150)
        #expect(abs(strays - 600) < 100)
        #expect(population.resolver(.open, at: boston).sendsClientSubnet)
        #expect(!population.resolver(.corporate, at: boston).sendsClientSubnet)
    }
}
