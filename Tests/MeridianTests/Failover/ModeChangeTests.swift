import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization
import Testing

@testable import Meridian

/// Tables change their mode and their home while they are written.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ModeChangeTests {
    struct Account: Codable, Sendable, Equatable {
        var id: Int
        var balance: Int
    }

    private final class Progress: Sendable {
        let isDone = Atomic(false)
        let commits = Atomic(0)
    }

    static let regions: [Region] = ["us-east-1", "eu-west-1", "eu-central-1", "ap-northeast-1"]
    static let accounts = Table<Account>("accounts", key: \.id, locality: .regional(in: "eu-west-1"))

    /// Runs a body on a cluster while a client increments counters, and checks that none of its commits is lost.
    private func withWriter(_ body: (EmbeddedCluster, Database) async throws -> Void) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(Self.regions), configuration: ClusterConfiguration(simulatesLatency: false))
        do {
            let db = cluster.database(in: "eu-west-1")
            try await db.write { try await $0.insert(Account(id: 0, balance: 0), into: Self.accounts) }
            let progress = Progress()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !progress.isDone.load(ordering: .relaxed) {
                        try await db.write { tx in
                            let old = try #require(try await tx.get(0, from: Self.accounts))
                            try await tx.update(Account(id: 0, balance: old.balance + 1), in: Self.accounts)
                        }
                        progress.commits.add(1, ordering: .relaxed)
                    }
                }
                do {
                    try await body(cluster, db)
                } catch {
                    progress.isDone.store(true, ordering: .relaxed)
                    throw error
                }
                progress.isDone.store(true, ordering: .relaxed)
                try await group.waitForAll()
            }
            let found = try await db.read { try await $0.get(0, from: Self.accounts) }
            #expect(found?.balance == progress.commits.load(ordering: .relaxed))
            #expect(progress.commits.load(ordering: .relaxed) > 0)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func members(_ db: Database) async throws -> [Member] {
        try await db.record("accounts", end: db.host.deadline(after: .seconds(5))).ranges[0].members
    }

    @Test func everyModeFollowsEveryOtherWithoutALostCommit() async throws {
        try await withWriter { _, db in
            try await db.alter(Self.accounts, mode: .semiSynchronous(remoteRegions: 1))
            #expect(try await Set(members(db).map(\.region)).count == 3)
            try await db.alter(Self.accounts, mode: .asynchronous)
            try await db.alter(Self.accounts, mode: .synchronous, survival: .region)
            #expect(try await members(db).filter { $0.role == .voter }.count > 3 - 1)
            #expect(try await Set(members(db).filter { $0.role == .voter }.map(\.region)).count == 3)
            try await db.alter(Self.accounts, mode: .asynchronous, survival: .zone)
            #expect(try await Set(members(db).filter { $0.role == .voter }.map(\.region)) == ["eu-west-1"])
            try await db.alter(Self.accounts, mode: .synchronous)
            #expect(try await Set(members(db).map(\.region)) == ["eu-west-1"])
        }
    }

    @Test func aHomeMovesAndComesBackWithoutALostCommit() async throws {
        try await withWriter { cluster, db in
            try await db.moveHome(of: Self.accounts, to: "eu-central-1")
            let node = try #require(try await cluster.leaseholder(of: Self.accounts))
            #expect(cluster.topology.node(node)?.region == "eu-central-1")
            #expect(try await Set(members(db).map(\.region)) == ["eu-central-1"])
            try await db.moveHome(of: Self.accounts, to: "eu-west-1")
            #expect(try await Set(members(db).map(\.region)) == ["eu-west-1"])
        }
    }

    @Test func aModeThatTheTopologyCannotCarryChangesNothing() async throws {
        try await withWriter { _, db in
            let before = try await members(db)
            await #expect(throws: MeridianError.self) {
                try await db.alter(Self.accounts, mode: .semiSynchronous(remoteRegions: 7))
            }
            #expect(try await members(db) == before)
        }
    }
}
