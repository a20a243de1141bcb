import Meridian
import MeridianCore
import MeridianSimulation
import Testing

private struct Counter: Codable, Hashable, Sendable {
    var id: Int
    var count: Int
}

/// Sessions whose own region dies, is cut off, and comes back.
@Suite struct SessionRoutingTests {
    private static let near: Region = "eu-west-1"
    private static let counters = Table<Counter>(
        "counters", key: \.id, locality: .regional(in: "us-east-1"), survival: .region)

    private func run(
        seed: UInt64 = 5, _ body: @escaping @Sendable (SimulatedWorld, RegionRouter) async throws -> Void
    ) throws {
        let topology = try Topology.aws(["us-east-1", "us-east-2", Self.near, "eu-central-1"])
        let world = try SimulatedWorld(seed: seed, topology: topology)
        try world.run { world in
            try await world.database(in: "us-east-1").write {
                try await $0.insert(Counter(id: 1, count: 0), into: Self.counters)
            }
            let router = try RegionRouter(world.database(in: Self.near))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await router.run() }
                try await body(world, router)
                group.cancelAll()
            }
        }
    }

    private static func increment(_ session: Session) async throws {
        try await session.write { transaction in
            guard var counter = try await transaction.get(1, from: counters) else { return }
            counter.count += 1
            try await transaction.update(counter, in: counters)
        }
    }

    private static func count(_ session: Session) async throws -> Int? {
        try await session.read { try await $0.get(1, from: counters)?.count }
    }

    @Test func pingsMeasureTheDistanceOfEveryRegion() throws {
        try run { world, router in
            await world.sleep(for: .seconds(2))
            #expect(router.gateway == Self.near)
            for measurement in router.measurements {
                let expected = world.topology.matrix.roundTripNanoseconds(from: Self.near, to: measurement.region)
                let latency = try #require(measurement.latency)
                let least = measurement.region == Self.near ? Duration.zero : .nanoseconds(expected)
                #expect(latency >= least && latency < least + .milliseconds(5), "\(measurement.region)")
            }
        }
    }

    @Test(arguments: UInt64(1)...4) func requestsOfADeadRegionAreServedElsewhereAndItsReturnIsNoticed(
        seed: UInt64
    ) throws {
        try run(seed: seed) { world, router in
            let session = try router.session(.causal)
            await world.sleep(for: .seconds(2))
            world.lose(Self.near)
            let start = world.now
            for number in 1...5 {
                try await Self.increment(session)
                #expect(try await Self.count(session) == number)
            }
            #expect(world.now - start < .seconds(15))
            #expect(router.gateway == "eu-central-1")
            world.restore(Self.near)
            await world.sleep(for: .seconds(40))
            #expect(router.gateway == Self.near)
            #expect(try await Self.count(session) == 5)
        }
    }

    @Test(arguments: UInt64(1)...6) func aCommitWhoseGatewayDiesOnTheWayHappensOnce(seed: UInt64) throws {
        try run(seed: seed) { world, router in
            let session = try router.session(.causal)
            for round in 1...8 {
                async let write: Void = Self.increment(session)
                await world.sleep(for: .milliseconds(world.randomNumber(below: 350)))
                world.lose(Self.near)
                try await write
                world.restore(Self.near)
                await world.sleep(for: .seconds(1))
                #expect(try await Self.count(session) == round)
            }
        }
    }

    @Test func aRegionThatIsCutOffAnswersPingsAndLosesItsClientsAllTheSame() throws {
        try run { world, router in
            let session = try router.session(.sticky)
            await world.sleep(for: .seconds(2))
            world.isolate(world.topology.nodes(in: Self.near).map(\.id))
            for number in 1...4 {
                try await Self.increment(session)
                #expect(try await Self.count(session) == number)
            }
            let start = world.now
            // Its gateway still answers its own clients.
            let other = try RegionRouter(world.database(in: Self.near))
            await other.measure()
            #expect(other.gateway == Self.near)
            var returns = 0
            while world.now - start < .seconds(30) {
                let fresh = try router.session(.none)
                try await fresh.write { try await $0.upsert(Counter(id: 2, count: 1), into: Self.counters) }
                if router.gateway == Self.near { returns += 1 }
                await world.sleep(for: .milliseconds(500))
            }
            #expect(router.gateway == "eu-central-1")
            #expect(returns < 10)
            world.mendLinks()
            await world.sleep(for: .seconds(40))
            #expect(router.gateway == Self.near)
        }
    }

    @Test func onlyTheRegionsNamedAreUsed() throws {
        try run { world, _ in
            var configuration = RoutingConfiguration()
            configuration.regions = ["us-east-1", "us-east-2"]
            let router = try RegionRouter(world.database(in: Self.near), configuration: configuration)
            #expect(router.gateway == "us-east-1")
            let session = try router.session(.causal)
            world.lose("us-east-1")
            try await Self.increment(session)
            #expect(router.measurements.map(\.region) == ["us-east-1", "us-east-2"])
        }
    }

    @Test func whenNobodyAnswersTheErrorSaysWhetherTheCommitCanHaveHappened() throws {
        try run { world, router in
            let session = try router.session(.causal)
            for region in world.topology.regions { world.lose(region) }
            let error = await #expect(throws: MeridianError.self) { try await Self.increment(session) }
            #expect(error?.code == .unavailable && error?.commitOutcome == .notCommitted)
            for region in world.topology.regions { world.restore(region) }
            await world.sleep(for: .seconds(20))
            async let write: Void = Self.increment(session)
            await world.sleep(for: .milliseconds(100))
            for region in world.topology.regions { world.lose(region) }
            do {
                try await write
                Issue.record("a cluster that is gone has committed")
            } catch let error as MeridianError {
                #expect(error.code == .unavailable)
            }
        }
    }

    @Test func routingThatMakesNoSenseIsRefused() throws {
        let world = try SimulatedWorld(seed: 1, topology: .aws(["us-east-1", "eu-west-1"]))
        let database = world.database(in: "eu-west-1")
        var unknown = RoutingConfiguration()
        unknown.regions = ["eu-vest-1"]
        var empty = RoutingConfiguration()
        empty.regions = []
        var threshold = RoutingConfiguration()
        threshold.failureThreshold = 0
        for (configuration, code) in [
            (unknown, MeridianError.Code.unknownRegion), (empty, .invalidConfiguration),
            (threshold, .invalidConfiguration),
        ] {
            let error = #expect(throws: MeridianError.self) {
                try RegionRouter(database, configuration: configuration)
            }
            #expect(error?.code == code)
        }
    }
}
