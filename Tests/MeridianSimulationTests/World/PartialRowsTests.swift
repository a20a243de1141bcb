import Meridian
import MeridianSimulation
import Testing

/// A query over all regions while one of them is lost.
@Suite struct PartialRowsTests {
    private struct User: Codable, Sendable, Equatable {
        var id: Int
        var region: String
    }

    private static let users = Table<User>("users", key: \.id, locality: .regionalByRow(\.region))
    private static let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]

    private func world(_ body: @escaping @Sendable (SimulatedWorld) async throws -> Void) throws {
        let world = try SimulatedWorld(seed: 3, topology: .aws(Self.regions))
        try world.run { world in
            try await world.database(in: "us-east-1").write { tx in
                for (id, region) in Self.regions.enumerated() {
                    try await tx.insert(User(id: id, region: region.rawValue), into: Self.users)
                }
            }
            world.lose("eu-west-1")
            try await body(world)
        }
    }

    @Test func whatIsReachableComesWithTheNamesOfWhatIsMissing() throws {
        try world { world in
            let begun = world.now
            let found = try await world.database(in: "us-east-1").read {
                try await $0.scanReachable(Self.users, deadline: .seconds(1))
            }
            #expect(found.rows.map(\.id) == [0, 2])
            #expect(found.missing == ["eu-west-1"])
            #expect(world.now - begun < .seconds(1.5))
        }
    }

    @Test func whoDoesNotAskForLessGetsAnErrorThatNamesTheRegion() throws {
        try world { world in
            var thrown: MeridianError?
            do {
                _ = try await world.database(in: "us-east-1").read(deadline: .seconds(1)) {
                    try await $0.scan(Self.users)
                }
            } catch let error as MeridianError {
                thrown = error
            }
            #expect(thrown?.code == .deadlineExceeded)
            #expect(thrown?.message.contains("eu-west-1") == true)
        }
    }

    @Test func aWholeResultMissesNothing() throws {
        try world { world in
            world.restore("eu-west-1")
            let found = try await world.database(in: "us-east-1").read(deadline: .seconds(20)) {
                try await $0.scanReachable(Self.users, deadline: .seconds(15))
            }
            #expect(found.isComplete)
            #expect(found.rows.map(\.id).sorted() == [0, 1, 2])
        }
    }
}
