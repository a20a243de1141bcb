import MeridianCore
import MeridianPlacement
import Testing

@Suite struct PathRouterTests {
    private let timing = PathRouter.Timing(
        detectionNanoseconds: 3_000, fastestHopNanoseconds: 100, slowestHopNanoseconds: 1_000)

    /// 0 is the near region's network, 4 the far one's: 0 - 1 - 2 - 3 - 4.
    private func line() -> PathRouter {
        var graph = NetworkGraph(networks: 5)
        for network in 0..<4 { graph.connect(network, network + 1) }
        return PathRouter(graph: graph, origins: [("near", 0), ("far", 4)], timing: timing)
    }

    @Test func packetsFollowTheFewestNetworks() {
        let router = line()
        #expect((0..<5).map { router.destination(from: $0, at: .zero) } == ["near", "near", "near", "far", "far"])
    }

    @Test func aNetworkHandsOverAsEarlyAsItCan() {
        // A system of two presences, 0 and 1, each beside another region: no hop more, but one link inside.
        var graph = NetworkGraph(networks: 4)
        graph.connect(0, 1, isInternal: true)
        graph.connect(0, 2)
        graph.connect(1, 3)
        let router = PathRouter(graph: graph, origins: [("west", 2), ("east", 3)])
        #expect(router.destination(from: 0, at: .zero) == "west")
        #expect(router.destination(from: 1, at: .zero) == "east")
    }

    @Test func aWithdrawnRegionGetsPacketsUntilTheNewsIsThere() {
        var router = line()
        var random = SplitMix64(seed: 3)
        let end = router.withdraw("near", at: .zero, using: &random)
        #expect(router.destination(from: 1, at: Instant(nanoseconds: 2_999)) == "near")
        #expect(end > Instant(nanoseconds: 3_100) && end <= Instant(nanoseconds: 7_000))
        #expect((0..<5).allSatisfy { router.destination(from: $0, at: end) == "far" })
    }

    @Test func networksThatHaveNotHeardSendPacketsRoundInCircles() {
        var router = line()
        var random = SplitMix64(seed: 3)
        router.withdraw("near", at: .zero, using: &random)
        // Once 0 has heard, it sends everything to 1, which sends it back until it has heard too.
        let moments = stride(from: Int64(3_000), to: 5_000, by: 10).map { Instant(nanoseconds: $0) }
        #expect(moments.contains { router.destination(from: 1, at: $0) == nil })
    }

    @Test func aRegionThatIsBackGetsItsPacketsAgain() {
        var router = line()
        var random = SplitMix64(seed: 3)
        let gone = router.withdraw("near", at: .zero, using: &random)
        let back = router.announce("near", at: gone, using: &random)
        #expect(back > gone)
        #expect((0..<5).map { router.destination(from: $0, at: back) } == ["near", "near", "near", "far", "far"])
    }

    @Test func newsOfOneRouteDoNotOvertakeEachOther() {
        for seed in 0..<50 {
            var router = line()
            var random = SplitMix64(seed: UInt64(seed))
            router.withdraw("near", at: .zero, using: &random)
            let last = router.announce("near", at: Instant(nanoseconds: 3_000), using: &random)
            #expect(router.destination(from: 2, at: last) == "near")
        }
    }

    @Test func aLinkThatGoesDownMovesWhoCameOverIt() {
        var router = line()
        router.setLink(1, 2, isUp: false)
        #expect((1...2).map { router.destination(from: $0, at: .zero) } == ["near", "far"])
        router.setLink(2, 3, isUp: false)
        #expect(router.destination(from: 2, at: .zero) == nil)
        router.setLink(1, 2, isUp: true)
        #expect(router.destination(from: 2, at: .zero) == "near")
    }

    @Test func anInternetIsTheSameForTheSameSeedAndReachesEveryRegion() {
        let countries = [("FR", "EU"), ("DE", "EU"), ("US", "NA"), ("JP", "AS"), ("KE", "AF")]
            .map { (name: $0.0, continent: $0.1) }
        let regions: [(region: Region, continent: String)] = [("us-east-1", "NA"), ("eu-central-1", "EU")]
        var (one, other) = (SplitMix64(seed: 5), SplitMix64(seed: 5))
        let internet = NetworkGraph.internet(countries: countries, regions: regions, using: &one)
        #expect(
            internet.graph == NetworkGraph.internet(countries: countries, regions: regions, using: &other).graph)
        for region in regions {
            let costs = internet.regions[region.region].map { internet.graph.costs(to: $0) } ?? []
            #expect(!costs.isEmpty && costs.allSatisfy { $0 != nil })
        }
        #expect(Set(internet.access.keys) == Set(countries.map(\.name)))
    }
}
