import Meridian
import MeridianCore
import MeridianSimulation
import Testing

private struct Account: Codable, Hashable, Sendable {
    var id: Int
    var region: String
    /// Which transaction over all accounts has written it last.
    var round: Int
    /// How often somebody else has written it.
    var touched: Int
}

/// A client's gateway falls silent at any moment of a commit over three regions.
@Suite struct CoordinatorDeathTests {
    enum Scene: String, CaseIterable, Sendable {
        /// All nodes of the client's region die, which is the home of no row.
        case gatewaysDie
        /// They stand still for longer than anybody waits, and go on afterwards.
        case gatewaysPause
        /// The client's region, which dies, is the home of the first row, whose log decides.
        case anchorsHomeDies

        var client: Region { self == .anchorsHomeDies ? "us-east-1" : "eu-central-1" }
    }

    private static let homes: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]
    private static let accounts = Table<Account>(
        "accounts", key: \.id, locality: .regionalByRow(\.region), survival: .region)

    /// Every 5 ms from 0 to 600 for the gateways' death, every 25 ms for the other scenes; a few moments in one world.
    @Test(arguments: [
        (Scene.gatewaysDie, 0), (.gatewaysDie, 1), (.gatewaysDie, 2), (.gatewaysDie, 3), (.gatewaysDie, 4),
        (.gatewaysPause, 1), (.anchorsHomeDies, 2),
    ])
    func whatItHasPreparedIsResolvedInTimeEverywhereOrNowhere(scene: Scene, offset: Int) throws {
        let world = try SimulatedWorld(seed: UInt64(31 + offset), topology: .aws(Self.homes + ["eu-central-1"]))
        try world.run { world in
            try await Self.write(0, by: world.database(in: "eu-west-1"), deadline: .seconds(10))
            await world.sleep(for: .seconds(1))
            for (round, moment) in stride(from: 5 * offset, to: 600, by: 25).enumerated() {
                try await Self.play(scene, at: .milliseconds(moment), round: round + 1, in: world)
            }
        }
    }

    private static func write(_ round: Int, by database: Database, deadline: Duration) async throws {
        try await database.write(deadline: deadline) { transaction in
            for (position, home) in homes.enumerated() {
                let account = Account(id: position, region: home.rawValue, round: round, touched: 0)
                try await transaction.upsert(account, into: accounts)
            }
        }
    }

    private static func play(
        _ scene: Scene, at moment: Duration, round: Int, in world: SimulatedWorld
    ) async throws {
        async let outcome = outcome(of: round, by: world.database(in: scene.client))
        await world.sleep(for: moment)
        for node in world.topology.nodes(in: scene.client) {
            if scene == .gatewaysPause { world.pause(node.id, for: .seconds(4)) } else { world.crash(node.id) }
        }
        // Each row can be written again within three seconds, from a region that lives.
        let other = world.database(in: "eu-west-1")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, home) in homes.enumerated() {
                group.addTask {
                    try await other.write(deadline: .seconds(3)) { transaction in
                        var account = try #require(try await transaction.get(position, from: accounts, in: home))
                        account.touched += 1
                        try await transaction.upsert(account, into: accounts)
                    }
                }
            }
            try await group.waitForAll()
        }
        if scene == .gatewaysPause {
            await world.sleep(for: .seconds(4))
        } else {
            world.restore(scene.client)
            await world.sleep(for: .milliseconds(500))
        }
        let rounds = Set(try await other.read { try await Self.rounds(in: $0) })
        #expect(rounds.count == 1, "\(scene) at \(moment): visible in some ranges alone")
        switch await outcome {
        case nil: #expect(rounds == [round], "\(scene) at \(moment): the client has a receipt")
        case .notCommitted: #expect(!rounds.contains(round), "\(scene) at \(moment): the client was told of a failure")
        case .unknown: break
        }
    }

    /// - Returns: `nil` for a receipt.
    private static func outcome(of round: Int, by database: Database) async -> MeridianError.CommitOutcome? {
        do {
            try await write(round, by: database, deadline: .seconds(2))
            return nil
        } catch {
            return (error as? MeridianError)?.commitOutcome ?? .unknown
        }
    }

    private static func rounds(in transaction: ReadTransaction) async throws -> [Int] {
        var rounds: [Int] = []
        for (position, home) in homes.enumerated() {
            if let account = try await transaction.get(position, from: accounts, in: home) {
                rounds.append(account.round)
            }
        }
        return rounds
    }
}
