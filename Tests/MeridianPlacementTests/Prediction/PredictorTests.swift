import MeridianCore
import MeridianPlacement
import Testing

/// Predictions against cases worked out by hand: distances of the AWS matrix, the constants of `CostModel`.
@Suite struct PredictorTests {
    private let milli: Int64 = 1_000_000
    private let america: [Region] = ["us-east-1", "us-east-2", "us-west-2"]
    private let costs = CostModel()

    private func predictor(
        _ regions: [Region], nodes: Int = 3, epsilon: Int64 = 500_000, failover: Predictor.FailoverPolicy = .manual
    ) throws -> Predictor {
        Predictor(
            topology: try .aws(regions, nodesPerRegion: nodes), epsilonNanoseconds: epsilon, failover: failover)
    }

    private func table(in region: Region) -> PlannedTable {
        PlannedTable(name: "orders", locality: .regional(in: region))
    }

    private func home(
        _ mode: PlannedMode, _ predictor: Predictor, at region: Region = "us-east-1"
    ) throws -> HomePrediction {
        let prediction = predictor.predict(mode, table(in: region))
        return try #require(prediction.homes.first, "\(prediction.refusal ?? "")")
    }

    // MARK: - Writes

    /// The rows of "Quorum floor implied by the matrix" whose placement the planner chooses: 2-2-1 with three nodes a
    /// region, three voters with one.
    @Test(
        arguments: [
            (["us-east-1", "us-east-2", "us-west-2"], 3, 13),
            (["us-east-1", "us-west-2", "eu-west-1"], 3, 64),
            (["eu-central-1", "eu-west-1", "us-east-1"], 3, 27),
            (["us-east-1", "eu-west-1", "ap-northeast-1"], 1, 70),
            (["ap-southeast-2", "ap-southeast-1", "ap-northeast-1"], 1, 93),
        ] as [([String], Int, Int64)])
    func aWriteAtHomeWaitsForTheQuorum(regions: [String], nodes: Int, floor: Int64) throws {
        let predictor = try predictor(regions.map { Region($0) }, nodes: nodes)
        let home = try home(.synchronousRegion, predictor, at: Region(regions[0]))
        let write = try #require(home.client(Region(regions[0]))).write
        #expect(write.floorNanoseconds == floor * milli)
        #expect(write.limit == .quorum)
        let engine = costs.callNanoseconds + costs.logWriteNanoseconds + 2 * costs.hopNanoseconds
        #expect(write.p50Nanoseconds == floor * milli + engine)
    }

    @Test func aQuorumBetweenZonesIsAHopOnTheDiagonal() throws {
        let home = try home(.synchronousZone, predictor(america))
        #expect(home.client("us-east-1")?.write.floorNanoseconds == milli)
    }

    @Test func aClientElsewhereAddsItsWayToTheLeaseholder() throws {
        let home = try home(.synchronousRegion, predictor(america))
        let near = try #require(home.client("us-east-1")).write
        let far = try #require(home.client("us-west-2")).write
        #expect(far.routeNanoseconds == 64 * milli)
        #expect(far.p50Nanoseconds == near.p50Nanoseconds + 64 * milli + 2 * costs.hopNanoseconds)
        #expect(far.servedIn == "us-east-1")
    }

    @Test func theCommitWaitDecidesWhereItIsLongerThanTheQuorumIsFar() throws {
        let write = try #require(home(.synchronousZone, predictor(america, epsilon: 5 * milli)).client("us-east-1"))
            .write
        #expect(write.limit == .clock)
        #expect(write.floorNanoseconds == 10 * milli)
        let hidden = try #require(home(.synchronousRegion, predictor(america, epsilon: 5 * milli)).client("us-east-1"))
        #expect(hidden.write.limit == .quorum)
        #expect(hidden.write.floorNanoseconds == 13 * milli)
    }

    @Test func aSingleVoterWaitsForItsDiskAlone() throws {
        let write = try #require(
            home(.synchronousZone, predictor(["us-east-1"], nodes: 1, epsilon: 0)).client("us-east-1")
        )
        .write
        #expect(write.limit == .disk)
        #expect(write.p50Nanoseconds == costs.callNanoseconds + costs.logWriteNanoseconds)
    }

    @Test func semiSynchronousWaitsForTheNthRegionAndAsynchronousForNone() throws {
        let predictor = try predictor(america)
        #expect(
            try home(.semiSynchronous(remoteRegions: 1), predictor).client("us-east-1")?.write.floorNanoseconds == 13
                * milli)
        #expect(
            try home(.semiSynchronous(remoteRegions: 2), predictor).client("us-east-1")?.write.floorNanoseconds == 64
                * milli)
        #expect(try home(.asynchronous, predictor).client("us-east-1")?.write.floorNanoseconds == milli)
    }

    /// us-east-2 is central; us-west-2, 52 ms away, is farthest: 26 + 0.65 one way, 8 between two closed timestamps, 7
    /// of slack, 4ε, less the 2 ms that have passed.
    @Test func aGlobalTablesWriterWaitsForWhatIsClosedAhead() throws {
        let home = try home(.global, predictor(america))
        #expect(home.home == "us-east-2")
        let write = try #require(home.client("us-east-2")).write
        #expect(write.limit == .clock)
        #expect(write.waitNanoseconds == 26 * milli + 650_000 + 8 * milli + 7 * milli + 2 * milli - 2 * milli)
    }

    // MARK: - Reads

    @Test func strongReadsGoToTheLeaseholderAndThoseOfAGlobalTableNowhere() throws {
        let predictor = try predictor(america)
        let read = try #require(home(.synchronousRegion, predictor).client("us-west-2")?.strongRead)
        #expect(read.floorNanoseconds == 64 * milli)
        let global = try #require(home(.global, predictor).client("us-west-2")?.strongRead)
        #expect(global.floorNanoseconds == 0)
        #expect(global.p50Nanoseconds == costs.callNanoseconds)
    }

    @Test func nearestReadsAreLocalWhereACopyIs() throws {
        let predictor = try predictor(america)
        #expect(try home(.synchronousRegion, predictor).client("us-west-2")?.nearestRead.floorNanoseconds == 0)
        let zone = try #require(home(.synchronousZone, predictor).client("us-west-2")?.nearestRead)
        #expect(zone.floorNanoseconds == 64 * milli)
        #expect(zone.servedIn == "us-east-1")
    }

    /// One region of one node: no neighbour holds the reads back, and both ranges are led at home. The later of a
    /// heartbeat (75 ms) and a message of quiescent ranges (175 ms), each even over its interval, is 87.5 ms old in
    /// half of the cases, since the second alone exceeds what the first can be.
    @Test func stalenessIsTheLaterOfWhatANodeHasHeard() throws {
        let client = try #require(home(.synchronousZone, predictor(["us-east-1"], nodes: 1)).client("us-east-1"))
        let read = client.nearestRead.p50Nanoseconds
        #expect(abs(client.stalenessNanoseconds - read - 87_500_000) < milli)
        let neighbours = try #require(home(.synchronousZone, predictor(["us-east-1"], nodes: 3)).client("us-east-1"))
        #expect(abs(neighbours.stalenessNanoseconds - client.stalenessNanoseconds - 100 * milli) < milli)
    }

    /// The client's node has heard as much as is 11 + 87.5 ms old, one way from `b` where the system range is led, and
    /// asks the copy in `c`, 1 ms away, which has heard what is 100 + 37.5 ms old: it waits for the rest.
    @Test func aCopyThatHasHeardLessThanTheClientWaits() throws {
        let matrix = try LatencyMatrix(
            regions: ["a", "b", "c", "d"],
            roundTripMilliseconds: [[0, 150, 200, 202], [150, 0, 20, 22], [200, 20, 0, 2], [202, 22, 2, 0]])
        let topology = try Topology(
            regions: (["a", "b", "c", "d"] as [Region]).map { RegionDescriptor($0, nodes: 1) }, matrix: matrix)
        let home = try home(.synchronousRegion, Predictor(topology: topology), at: "a")
        let read = try #require(home.client("d")).nearestRead
        #expect(read.servedIn == "c")
        #expect(read.routeNanoseconds == 2 * milli)
        #expect(abs(read.waitNanoseconds - 38 * milli) < milli / 10)
        #expect(try #require(home.client("c")).nearestRead.waitNanoseconds == 0)
    }

    // MARK: - Active-active

    @Test func activeActiveWritesAtTheClientsRegionAndReadsNothingStrong() throws {
        let home = try home(.activeActive, predictor(america))
        #expect(home.home == nil)
        for region in america {
            let client = try #require(home.client(region))
            #expect(client.write.floorNanoseconds == milli)
            #expect(client.write.servedIn == region)
            #expect(client.strongRead == nil)
        }
        // The record is read before it is written.
        let engine = 2 * costs.callNanoseconds + costs.logWriteNanoseconds + 2 * costs.hopNanoseconds
        #expect(try #require(home.client("us-east-1")).write.engineNanoseconds == engine)
    }

    /// us-west-2 is asked every 64 + 20 ms, its answer takes 32, and then there are a read, a commit between zones, and
    /// the client's read. us-east-2, 13 ms away, has always been heard later.
    @Test func whatOtherRegionsWroteIsAsOldAsThePullsAreFarApart() throws {
        let staleness = try #require(home(.activeActive, predictor(america)).client("us-east-1")).stalenessNanoseconds
        let call = costs.callNanoseconds
        let cycle = 84 * milli + call + 2 * costs.hopNanoseconds
        let merge = milli + 2 * call + costs.logWriteNanoseconds + 2 * costs.hopNanoseconds
        #expect(abs(staleness - (cycle / 2 + 32 * milli + costs.hopNanoseconds + merge + call)) < milli / 100)
    }

    /// A copy that gets something each time asks again at once.
    @Test func manyWritesShortenThePulls() throws {
        var carts = table(in: "us-east-1")
        let idle = try #require(predictor(america).predict(.activeActive, carts).homes.first)
        carts.writesPerSecond = ["us-east-1": 1_000, "us-east-2": 1_000, "us-west-2": 1_000]
        let busy = try #require(predictor(america).predict(.activeActive, carts).homes.first)
        #expect(busy.cost.pullsPerSecond > idle.cost.pullsPerSecond)
        for region in america {
            let (slow, fast) = (try #require(idle.client(region)), try #require(busy.client(region)))
            #expect(fast.stalenessNanoseconds < slow.stalenessNanoseconds)
            #expect(fast.stalenessNanoseconds > slow.stalenessNanoseconds - 20 * milli)
        }
    }

    @Test func activeActiveNeedsASecondRegion() throws {
        let alone = try predictor(["us-east-1"]).predict(.activeActive, table(in: "us-east-1"))
        #expect(alone.homes.isEmpty)
        #expect(alone.refusal?.contains("active-active replication needs two regions") == true)
    }

    // MARK: - Cost

    @Test func bytesAreCountedForEachCopyElsewhereAndForTheClientsWay() throws {
        let predictor = try predictor(america)
        var orders = table(in: "us-east-1")
        orders.rowBytes = 100
        orders.writesPerSecond = ["us-east-1": 30, "us-west-2": 10]
        let region = try #require(predictor.predict(.synchronousRegion, orders).homes.first).cost
        #expect(region.voters == 5)
        #expect(region.storedBytesPerByte == 5)
        // Three copies elsewhere; the client in us-west-2 sends its rows once more.
        #expect(region.crossRegionBytesPerSecond == 30 * 300 + 10 * 400)
        #expect(region.crossRegionBytesPerWrite == 325)
        let zone = try #require(predictor.predict(.synchronousZone, orders).homes.first).cost
        #expect(zone.crossRegionBytesPerSecond == 10 * 100)
        let active = try #require(predictor.predict(.activeActive, orders).homes.first).cost
        #expect(active.storedBytesPerByte == 9)
        #expect(active.crossRegionBytesPerWrite == 200)
        // Each of six ordered pairs: a round trip of 13, 52 or 64 ms, 0.3 ms of work, and 20 ms of pause; none in
        // us-west-2, for which us-east-1 has two writes each time, but a merge of 1.9 ms.
        let pulls = 2000 / 33.29 + 2000 / 72.29 + 1000 / 84.29 + 1000 / 66.16
        #expect(abs(active.pullsPerSecond - pulls) < 0.1)
        #expect(zone.pullsPerSecond == 0)
    }

    @Test func aTableThatIsRegionalByRowIsPredictedForEachHome() throws {
        let users = PlannedTable(
            name: "users", locality: .regionalByRow(column: "region"),
            writesPerSecond: ["us-west-2": 5, "us-east-1": 1])
        let prediction = try predictor(america).predict(.synchronousRegion, users)
        #expect(prediction.homes.map(\.home) == ["us-east-1", "us-west-2"])
        #expect(prediction.home(for: "us-west-2")?.client("us-west-2")?.write.floorNanoseconds == 52 * milli)
    }

    @Test func whatTheTopologyCannotCarryIsRefusedInThePlannersWords() throws {
        let prediction = try predictor(["us-east-1", "us-west-2"]).predict(.synchronousRegion, table(in: "us-east-1"))
        #expect(prediction.homes.isEmpty)
        #expect(prediction.refusal?.contains("the region goal needs voters in three regions") == true)
    }
}
