import Foundation
import Meridian
import Testing

/// The whole store in one process: transactions, rows that move, errors that users see.
@Suite(.timeLimit(.minutes(2))) struct EmbeddedClusterTests {
    struct User: Codable, Sendable, Equatable {
        var id: Int
        var region: String
        var name: String
    }

    static let users = Table<User>("users", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)

    private func withCluster(
        _ storage: ClusterConfiguration.Storage = .temporary, _ body: (EmbeddedCluster) async throws -> Void
    ) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(
                ["us-east-1", "eu-west-1", "eu-central-1"],
                jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"]),
            configuration: ClusterConfiguration(storage: storage, simulatesLatency: false))
        do {
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func failure(_ body: () async throws -> Void) async throws -> MeridianError {
        do {
            try await body()
        } catch let error as MeridianError {
            return error
        }
        throw MeridianError(.invalidConfiguration, "the operation was to fail, and did not")
    }

    @Test func aCommittedRowIsReadFromEveryRegion() async throws {
        try await withCluster { cluster in
            let ada = User(id: 1, region: "eu-west-1", name: "Ada")
            let receipt = try await cluster.database(in: "eu-west-1").write {
                try await $0.insert(ada, into: Self.users)
            }
            #expect(receipt.timestamp > .zero)
            #expect(receipt.latency.total > .zero)
            for region in cluster.topology.regions {
                let found = try await cluster.database(in: region).read { try await $0.get(1, from: Self.users) }
                #expect(found == ada)
            }
        }
    }

    @Test func writesAreSeenByTheirOwnTransactionAndVanishIfItFails() async throws {
        struct Stop: Error {}
        try await withCluster { cluster in
            let db = cluster.database(in: "us-east-1")
            let row = User(id: 7, region: "us-east-1", name: "Grace")
            await #expect(throws: Stop.self) {
                try await db.write { tx in
                    try await tx.insert(row, into: Self.users)
                    let own = try await tx.get(7, from: Self.users, in: "us-east-1")
                    #expect(own == row)
                    throw Stop()
                }
            }
            let after = try await db.read { try await $0.get(7, from: Self.users) }
            #expect(after == nil)
        }
    }

    @Test func aSecondRowUnderTheSameKeyIsRefused() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "us-east-1")
            let row = User(id: 2, region: "us-east-1", name: "Alan")
            try await db.write { try await $0.insert(row, into: Self.users) }
            let error = try await failure { try await db.write { try await $0.insert(row, into: Self.users) } }
            #expect(error.code == .duplicateKey)
            #expect(error.message.contains("users"))
            #expect(!error.message.contains("Alan"))
        }
    }

    @Test func askingAgainWithTheSameIDReturnsTheFirstCommit() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "us-east-1")
            let row = User(id: 3, region: "us-east-1", name: "Edsger")
            let id = RequestID(high: 1, low: 2)
            let first = try await db.write(id: id) { try await $0.insert(row, into: Self.users) }
            let second = try await db.write(id: id) { try await $0.insert(row, into: Self.users) }
            #expect(first.timestamp == second.timestamp)
        }
    }

    @Test func concurrentIncrementsAreAllCounted() async throws {
        struct Counter: Codable, Sendable { var id: Int; var count: Int }
        let counters = Table<Counter>("counters", key: \.id, locality: .regional(in: "eu-west-1"))
        try await withCluster { cluster in
            let db = cluster.database(in: "eu-west-1")
            try await db.write { try await $0.insert(Counter(id: 1, count: 0), into: counters) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<10 {
                            try await db.write(deadline: .seconds(60)) { tx in
                                var counter = try #require(try await tx.get(1, from: counters))
                                counter.count += 1
                                try await tx.update(counter, in: counters)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let end = try await db.read { try await $0.get(1, from: counters) }
            #expect(end?.count == 80)
        }
    }

    @Test func timestampsOfSuccessiveCommitsIncreaseAcrossRegions() async throws {
        try await withCluster { cluster in
            var last = Timestamp.zero
            for number in 0..<12 {
                let region = cluster.topology.regions[number % 3]
                let row = User(id: number, region: region.rawValue, name: "n")
                let receipt = try await cluster.database(in: region).write {
                    try await $0.insert(row, into: Self.users)
                }
                #expect(receipt.timestamp > last)
                last = receipt.timestamp
            }
        }
    }

    @Test func scansReturnRowsInKeyOrderAndSeeOwnWrites() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "eu-west-1")
            for id in [5, 1, 3] {
                try await db.write {
                    try await $0.insert(User(id: id, region: "eu-west-1", name: "\(id)"), into: Self.users)
                }
            }
            let all = try await db.read { try await $0.scan(Self.users, in: "eu-west-1") }
            #expect(all.map(\.id) == [1, 3, 5])
            try await db.write { tx in
                try await tx.insert(User(id: 2, region: "eu-west-1", name: "2"), into: Self.users)
                try await tx.delete(5, from: Self.users, in: "eu-west-1")
                let seen = try await tx.scan(Self.users, in: "eu-west-1").map(\.id)
                #expect(seen == [1, 2, 3])
            }
            let everywhere = try await cluster.database(in: "us-east-1").read { try await $0.scan(Self.users) }
            #expect(everywhere.map(\.id).sorted() == [1, 2, 3])
        }
    }

    @Test func changingTheRegionMovesTheRow() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "eu-west-1")
            try await db.write {
                try await $0.insert(User(id: 9, region: "eu-west-1", name: "Niels"), into: Self.users)
            }
            let moved = User(id: 9, region: "eu-central-1", name: "Niels")
            try await db.write { try await $0.update(moved, in: Self.users) }
            let found = try await db.read { try await $0.get(9, from: Self.users) }
            #expect(found == moved)
            let old = try await db.read { try await $0.get(9, from: Self.users, in: "eu-west-1") }
            #expect(old == nil)
            let all = try await db.read { try await $0.scan(Self.users) }
            #expect(all == [moved])
        }
    }

    @Test func aRestrictedRowDoesNotLeaveItsJurisdiction() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "eu-west-1")
            try await db.write {
                try await $0.insert(User(id: 4, region: "eu-west-1", name: "Ada"), into: Self.users)
            }
            let error = try await failure {
                try await db.write {
                    try await $0.update(User(id: 4, region: "us-east-1", name: "Ada"), in: Self.users)
                }
            }
            #expect(error.code == .jurisdictionViolation)
            let found = try await db.read { try await $0.get(4, from: Self.users) }
            #expect(found?.region == "eu-west-1")
        }
    }

    @Test func aRowOfAnUnknownRegionIsRefused() async throws {
        try await withCluster { cluster in
            let error = try await failure {
                try await cluster.database(in: "us-east-1").write {
                    try await $0.insert(User(id: 1, region: "mars-1", name: "Ray"), into: Self.users)
                }
            }
            #expect(error.code == .unknownRegion)
            #expect(!error.message.contains("Ray"))
        }
    }

    @Test func aTableOfOtherColumnsIsRefused() async throws {
        struct Other: Codable, Sendable { var id: Int; var region: String; var age: Int }
        let other = Table<Other>("users", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
        try await withCluster { cluster in
            let db = cluster.database(in: "us-east-1")
            try await db.create(Self.users)
            let error = try await failure { try await db.create(other) }
            #expect(error.code == .tableMismatch)
        }
    }

    @Test func oversizedRowsAndKeysAreRefused() async throws {
        struct Blob: Codable, Sendable { var id: String; var data: String }
        let blobs = Table<Blob>("blobs", key: \.id, locality: .regional(in: "us-east-1"))
        try await withCluster { cluster in
            let db = cluster.database(in: "us-east-1")
            let row = Blob(id: "a", data: String(repeating: "x", count: 5 << 20))
            let rowError = try await failure { try await db.write { try await $0.insert(row, into: blobs) } }
            #expect(rowError.code == .rowTooLarge)
            let key = Blob(id: String(repeating: "k", count: 70_000), data: "")
            let keyError = try await failure { try await db.write { try await $0.insert(key, into: blobs) } }
            #expect(keyError.code == .keyTooLarge)
        }
    }

    @Test func aRegionGoalInsideOneRegionIsRefused() async throws {
        let table = Table<User>(
            "strict", key: \.id, locality: .regional(in: "us-east-1"), survival: .region, placement: .restricted)
        try await withCluster { cluster in
            let error = try await failure { try await cluster.database(in: "us-east-1").create(table) }
            #expect(error.code == .placementImpossible)
        }
    }
}

/// Rows that move while others change them.
extension EmbeddedClusterTests {
    /// Whoever comes first wins: a row that its owner deleted does not come back from a move that had begun.
    @Test func aRowIsEitherMovedOrDeletedWhenBothAreTriedAtOnce() async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(["eu-west-1", "eu-central-1"], jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"]),
            configuration: ClusterConfiguration(simulatesLatency: false))
        let db = cluster.database(in: "eu-west-1")
        for id in 0..<30 {
            try await db.write {
                try await $0.insert(User(id: id, region: "eu-west-1", name: "Niels"), into: Self.users)
            }
            async let moved = Self.succeeds {
                try await db.write {
                    try await $0.update(User(id: id, region: "eu-central-1", name: "Niels"), in: Self.users)
                }
            }
            async let deleted = Self.succeeds {
                try await db.write { try await $0.delete(id, from: Self.users, in: "eu-west-1") }
            }
            let (isMoved, isDeleted) = try await (moved, deleted)
            let rows = try await db.read { try await $0.scan(Self.users) }.filter { $0.id == id }
            #expect(rows.count == (isDeleted ? 0 : 1), "moved \(isMoved), deleted \(isDeleted)")
            #expect(isMoved || isDeleted)
        }
        await cluster.shutdown()
    }

    @Test func aKeyIsFreeAgainWhereItsRowHasLeft() async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(["eu-west-1", "eu-central-1"], jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"]),
            configuration: ClusterConfiguration(simulatesLatency: false))
        let db = cluster.database(in: "eu-west-1")
        let row = User(id: 1, region: "eu-west-1", name: "Niels")
        try await db.write { try await $0.insert(row, into: Self.users) }
        try await db.write {
            try await $0.update(User(id: 1, region: "eu-central-1", name: "Niels"), in: Self.users)
        }
        try await db.write { try await $0.insert(row, into: Self.users) }
        let here = try await db.read { try await $0.get(1, from: Self.users, in: "eu-west-1") }
        #expect(here == row)
        await cluster.shutdown()
    }

    private static func succeeds(_ body: () async throws -> Void) async throws -> Bool {
        do {
            try await body()
            return true
        } catch let error as MeridianError where [.rowNotFound, .conflict].contains(error.code) {
            return false
        }
    }
}
