import Meridian
import MeridianCore
import Testing

/// Transactions over several tables and home regions, on real clusters without delay.
@Suite struct MultiRangeTests {
    struct Account: Codable, Sendable, Equatable { var id: Int; var region: String; var balance: Int }
    struct Entry: Codable, Sendable, Equatable { var id: Int; var note: String }

    static let accounts = Table<Account>("accounts", key: \.id, locality: .regionalByRow(\.region))
    static let ledger = Table<Entry>("ledger", key: \.id, locality: .regional(in: "us-east-1"))

    private func withCluster(_ body: (EmbeddedCluster) async throws -> Void) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(["us-east-1", "eu-west-1", "ap-northeast-1"]),
            configuration: ClusterConfiguration(simulatesLatency: false))
        do {
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func open(_ cluster: EmbeddedCluster, balance: Int = 100) async throws {
        try await cluster.database(in: "us-east-1").write { tx in
            try await tx.insert(Account(id: 1, region: "us-east-1", balance: balance), into: Self.accounts)
            try await tx.insert(Account(id: 2, region: "eu-west-1", balance: balance), into: Self.accounts)
            try await tx.insert(Account(id: 3, region: "ap-northeast-1", balance: balance), into: Self.accounts)
        }
    }

    @Test func rowsOfSeveralRegionsAndTablesCommitTogether() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "eu-west-1")
            try await open(cluster)
            let receipt = try await db.write { tx in
                var payer = try #require(try await tx.get(1, from: Self.accounts))
                var payee = try #require(try await tx.get(3, from: Self.accounts))
                payer.balance -= 30
                payee.balance += 30
                try await tx.update(payer, in: Self.accounts)
                try await tx.update(payee, in: Self.accounts)
                try await tx.insert(Entry(id: 1, note: "paid"), into: Self.ledger)
            }
            let seen = try await cluster.database(in: "ap-northeast-1").read { tx in
                (try await tx.scan(Self.accounts).map(\.balance).sorted(), try await tx.get(1, from: Self.ledger))
            }
            #expect(seen.0 == [70, 100, 130])
            #expect(seen.1?.note == "paid")
            #expect(receipt.timestamp > .zero)
        }
    }

    @Test func aFailureInOneRangeLeavesAllUnchanged() async throws {
        try await withCluster { cluster in
            try await open(cluster)
            let db = cluster.database(in: "us-east-1")
            var error: MeridianError?
            do {
                try await db.write { tx in
                    try await tx.update(Account(id: 1, region: "us-east-1", balance: 0), in: Self.accounts)
                    // The key is taken in its region, which only that range knows.
                    try await tx.insert(Account(id: 2, region: "eu-west-1", balance: 7), into: Self.accounts)
                }
            } catch let thrown as MeridianError {
                error = thrown
            }
            #expect(error?.code == .duplicateKey)
            #expect(error?.commitOutcome == .notCommitted)
            let rows = try await db.read { try await $0.scan(Self.accounts) }
            #expect(rows.map(\.balance) == [100, 100, 100])
        }
    }

    @Test func askingAgainWithTheSameRequestReturnsTheFirstCommit() async throws {
        try await withCluster { cluster in
            try await open(cluster)
            let db = cluster.database(in: "us-east-1")
            let id = RequestID(high: 1, low: 2)
            let body: (Transaction) async throws -> Void = { tx in
                for id in 1...2 {
                    var account = try #require(try await tx.get(id, from: Self.accounts))
                    account.balance += 1
                    try await tx.update(account, in: Self.accounts)
                }
            }
            let first = try await db.write(id: id, body)
            let second = try await cluster.database(in: "eu-west-1").write(id: id, body)
            #expect(first.timestamp == second.timestamp)
            let rows = try await db.read { try await $0.scan(Self.accounts).map(\.balance).sorted() }
            #expect(rows == [100, 101, 101])
        }
    }

    @Test func whatWasOnlyReadElsewhereMustStillBeSo() async throws {
        try await withCluster { cluster in
            try await open(cluster)
            let db = cluster.database(in: "us-east-1")
            var attempts = 0
            let receipt = try await db.write { tx in
                attempts += 1
                let other = try #require(try await tx.get(2, from: Self.accounts, in: "eu-west-1"))
                if attempts == 1 {
                    try await cluster.database(in: "eu-west-1").write {
                        try await $0.update(Account(id: 2, region: "eu-west-1", balance: 5), in: Self.accounts)
                    }
                }
                try await tx.update(Account(id: 1, region: "us-east-1", balance: other.balance), in: Self.accounts)
            }
            #expect(receipt.attempts == 2)
            let copied = try await db.read { try await $0.get(1, from: Self.accounts) }
            #expect(copied?.balance == 5)
        }
    }

    @Test func oppositeTransfersNeitherBlockEachOtherForEverNorLoseMoney() async throws {
        try await withCluster { cluster in
            try await open(cluster, balance: 1_000)
            let regions = cluster.topology.regions
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<6 {
                    group.addTask {
                        let db = cluster.database(in: regions[worker % 3])
                        for round in 0..<8 {
                            let from = 1 + (worker + round) % 3
                            let to = 1 + (worker + round + 1 + worker % 2) % 3
                            try await db.write(deadline: .seconds(60)) { tx in
                                var payer = try #require(try await tx.get(from, from: Self.accounts))
                                var payee = try #require(try await tx.get(to, from: Self.accounts))
                                payer.balance -= 1
                                payee.balance += 1
                                try await tx.update(payer, in: Self.accounts)
                                try await tx.update(payee, in: Self.accounts)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let rows = try await cluster.database(in: regions[0]).read { try await $0.scan(Self.accounts) }
            #expect(rows.map(\.balance).reduce(0, +) == 3_000)
        }
    }

    @Test func aTransactionThatIsTooLargeIsRefused() async throws {
        struct Blob: Codable, Sendable { var id: Int; var data: String }
        let blobs = Table<Blob>("blobs", key: \.id, locality: .regional(in: "us-east-1"))
        try await withCluster { cluster in
            var code: MeridianError.Code?
            do {
                try await cluster.database(in: "us-east-1").write { tx in
                    for id in 0..<20 {
                        try await tx.insert(Blob(id: id, data: String(repeating: "x", count: 1 << 20)), into: blobs)
                    }
                }
            } catch let error as MeridianError {
                code = error.code
            }
            #expect(code == .transactionTooLarge)
        }
    }
}
