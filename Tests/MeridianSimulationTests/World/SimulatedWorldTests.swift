import Meridian
import MeridianCore
import Testing

@testable import MeridianSimulation

private struct Account: Codable, Sendable {
    var id: String
    var balance: Int
}

private let accounts = Table<Account>("accounts", key: \.id, locality: .regional(in: "eu-west-1"), survival: .region)

@Suite struct SimulatedWorldTests {
    @Test func clientsWriteAndReadThroughTheLossOfARegion() throws {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        let world = try SimulatedWorld(seed: 7, topology: topology)
        let balance = try world.run { world in
            let db = world.database(in: "us-east-1")
            try await db.write { try await $0.insert(Account(id: "alice", balance: 1), into: accounts) }
            world.lose("eu-west-1")
            try await db.write { tx in
                var account = try await tx.get("alice", from: accounts)!
                account.balance += 1
                try await tx.update(account, in: accounts)
            }
            return try await db.read { try await $0.get("alice", from: accounts)?.balance }
        }
        #expect(balance == 2)
        print("virtual", world.now, "steps", world.engine.stepCount, world.eventHash)
    }
}
