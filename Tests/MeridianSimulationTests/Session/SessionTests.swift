import Meridian
import MeridianCore
import MeridianSimulation
import Testing

private struct Profile: Codable, Hashable, Sendable {
    var id: Int
    var picture: Int
}

/// Sessions beside a replica that follows behind: the rows' leaseholder is in us-east-1, the clients are in
/// ap-northeast-1, which has a replica of its own.
@Suite struct SessionTests {
    private static let home: Region = "us-east-1"
    private static let near: Region = "ap-northeast-1"
    private static let regions: [Region] = [home, "eu-west-1", near]
    private static let profiles = Table<Profile>(
        "profiles", key: \.id, locality: .regional(in: home), survival: .region)

    private func run(
        seed: UInt64 = 11, _ body: @escaping @Sendable (SimulatedWorld, RegionRouter) async throws -> Void
    ) throws {
        let world = try SimulatedWorld(seed: seed, topology: .aws(Self.regions))
        try world.run { world in
            try await world.database(in: Self.home).write {
                try await $0.insert(Profile(id: 1, picture: 0), into: Self.profiles)
            }
            await world.sleep(for: .seconds(2))
            try await body(world, try RegionRouter(world.database(in: Self.near)))
        }
    }

    private static func write(_ picture: Int, by session: Session) async throws {
        try await session.write { try await $0.update(Profile(id: 1, picture: picture), in: profiles) }
    }

    private static func picture(by session: Session) async throws -> Int {
        try await session.read { try await $0.get(1, from: profiles)?.picture } ?? -1
    }

    /// Writes and reads in turn, with more or less time in between.
    /// - Returns: how many reads missed the write before.
    private static func missed(
        _ session: Session, _ world: SimulatedWorld,
        pauses: [Duration] = [.zero, .milliseconds(50), .milliseconds(200)]
    ) async throws -> Int {
        var missed = 0
        for number in 1...15 {
            try await write(number, by: session)
            await world.sleep(for: pauses[number % pauses.count])
            if try await picture(by: session) < number { missed += 1 }
        }
        return missed
    }

    @Test func withoutAStrategyNearReadsMissTheSessionsOwnWrites() throws {
        try run { world, router in
            let missed = try await Self.missed(try router.session(.none), world)
            #expect(missed > 0)
        }
    }

    @Test(arguments: [
        ReadYourWrites.sticky, .readFromPrimary(for: .seconds(10)), .causal, .homeRegion("us-east-1"),
        .homeRegion("ap-northeast-1"),
    ])
    func everyStrategyShowsTheSessionsOwnWrites(strategy: ReadYourWrites) throws {
        for seed in UInt64(1)...3 {
            try run(seed: seed) { world, router in
                let missed = try await Self.missed(try router.session(strategy), world)
                #expect(missed == 0)
            }
        }
    }

    @Test func aWindowShorterThanTheLagMissesThemWhenItIsOver() throws {
        try run { world, router in
            let session = try router.session(.readFromPrimary(for: .milliseconds(20)))
            #expect(try await Self.missed(session, world, pauses: [.milliseconds(30)]) > 0)
        }
    }

    @Test func aWindowAsLongAsTheStalenessNeverMissesThem() throws {
        try run { world, router in
            let session = try router.session(.readFromPrimary(for: .seconds(1)), staleness: .seconds(1))
            let pauses: [Duration] = [.milliseconds(990), .milliseconds(1000), .milliseconds(1001)]
            #expect(try await Self.missed(session, world, pauses: pauses) == 0)
        }
    }

    @Test func nearReadsOfACausalSessionAreServedNearOnceTheReplicaHasCaughtUp() throws {
        try run { world, router in
            let session = try router.session(.causal)
            try await Self.write(1, by: session)
            await world.sleep(for: .seconds(2))
            let start = world.now
            #expect(try await Self.picture(by: session) == 1)
            #expect(world.now - start < .milliseconds(20))
        }
    }

    @Test func aStickySessionPaysTheWayForEveryRead() throws {
        try run { world, router in
            let session = try router.session(.sticky)
            try await Self.write(1, by: session)
            #expect(session.gateway == Self.home)
            await world.sleep(for: .seconds(2))
            let start = world.now
            #expect(try await Self.picture(by: session) == 1)
            #expect(world.now - start > .milliseconds(140))
        }
    }

    @Test func aTokenTakesTheGuaranteeToAnotherDevice() throws {
        try run { world, router in
            let other = try RegionRouter(world.database(in: "eu-west-1"))
            let session = try router.session(.causal)
            for number in 1...10 {
                try await Self.write(number, by: session)
                let token = try #require(session.token.flatMap { CausalToken($0.description) })
                let device = try other.session(.causal, resuming: token)
                #expect(try await Self.picture(by: device) >= number)
            }
        }
    }

    @Test func withoutATokenAnotherDeviceMissesWhatTheFirstWrote() throws {
        for strategy in [ReadYourWrites.sticky, .readFromPrimary(for: .seconds(10)), .causal] {
            try run { world, router in
                let writer = try RegionRouter(world.database(in: "eu-west-1")).session(strategy)
                var missed = 0
                for number in 1...10 {
                    try await Self.write(number, by: writer)
                    if try await Self.picture(by: try router.session(strategy)) < number { missed += 1 }
                }
                #expect(missed > 0, "\(strategy)")
            }
        }
    }

    @Test func aHomedUsersNextDeviceSeesTheirWritesWithoutAToken() throws {
        try run { world, router in
            let writer = try RegionRouter(world.database(in: "eu-west-1")).session(.homeRegion(Self.home))
            for number in 1...10 {
                try await Self.write(number, by: writer)
                let device = try router.session(.homeRegion(Self.home))
                #expect(try await Self.picture(by: device) >= number)
            }
        }
    }

    @Test func sessionsThatShareATokenSeeEachOthersWrites() throws {
        try run { world, router in
            let (one, other) = (try router.session(.causal), try router.session(.causal))
            for number in 1...10 {
                try await Self.write(number, by: one)
                try other.observe(try #require(one.token))
                #expect(try await Self.picture(by: other) >= number)
            }
        }
    }

    @Test func whatACausalSessionHasSeenItNeverUnsees() throws {
        try run { world, router in
            let session = try router.session(.causal)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let writer = world.database(in: Self.home)
                    for number in 1...40 {
                        try await writer.write {
                            try await $0.update(Profile(id: 1, picture: number), in: Self.profiles)
                        }
                    }
                }
                group.addTask {
                    var seen = try await Self.picture(by: session)
                    for _ in 0..<60 {
                        let picture = try await Self.picture(by: session)
                        #expect(picture >= seen)
                        seen = max(seen, picture)
                        await world.sleep(for: .milliseconds(30))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        try run { world, router in
            let session = try router.session(.causal)
            try await Self.write(1, by: session)
            let token = try #require(session.token)
            for strategy in [ReadYourWrites.none, .sticky, .readFromPrimary(for: .seconds(1))] {
                let error = #expect(throws: MeridianError.self) { try router.session(strategy, resuming: token) }
                #expect(error?.code == .invalidConfiguration)
            }
            let foreign = try SimulatedWorld(seed: 99, topology: .aws(Self.regions))
            let stranger = try RegionRouter(foreign.database(in: Self.near))
            let error = #expect(throws: MeridianError.self) { try stranger.session(.causal, resuming: token) }
            #expect(error?.code == .foreignToken)
            let unknown = #expect(throws: MeridianError.self) { try router.session(.homeRegion("us-eest-1")) }
            #expect(unknown?.code == .unknownRegion)
            let negative = #expect(throws: MeridianError.self) { try router.session(staleness: .zero) }
            #expect(negative?.code == .invalidConfiguration)
        }
    }
}
