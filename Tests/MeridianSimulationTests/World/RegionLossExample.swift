import Meridian
import MeridianSimulation
import Testing

// A user's own service, and the test that it loses no deposit and makes none twice while regions fail.

private struct Account: Codable, Sendable {
    var id: String
    var balance: Int
}

private struct Bank: Sendable {
    static let accounts = Table<Account>("accounts", key: \.id, locality: .regional(in: "eu-west-1"), survival: .region)
    let database: Database

    func open(_ id: String) async throws {
        try await database.write { try await $0.insert(Account(id: id, balance: 0), into: Self.accounts) }
    }

    func deposit(_ amount: Int, to id: String) async throws {
        try await database.write { transaction in
            guard var account = try await transaction.get(id, from: Self.accounts) else { return }
            account.balance += amount
            try await transaction.update(account, in: Self.accounts)
        }
    }

    func balance(of id: String) async throws -> Int? {
        try await database.read { try await $0.get(id, from: Self.accounts)?.balance }
    }
}

@Test(arguments: UInt64(1)...5) func depositsSurviveTheLossOfARegion(seed: UInt64) throws {
    let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]
    let world = try SimulatedWorld(seed: seed, topology: .aws(regions))
    try world.run { world in
        let bank = Bank(database: world.database(in: "us-east-1"))
        try await bank.open("alice")
        async let deposits: Void = { for _ in 1...50 { try await bank.deposit(1, to: "alice") } }()
        await world.sleep(for: .milliseconds(world.randomNumber(below: 3_000)))
        world.lose("eu-west-1")
        await world.sleep(for: .seconds(5))
        world.restore("eu-west-1")
        try await deposits
        #expect(try await bank.balance(of: "alice") == 50)
    }
}
