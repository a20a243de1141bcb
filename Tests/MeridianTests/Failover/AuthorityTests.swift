import MeridianCore
import MeridianPlacement
import MeridianReplica
import Testing

@testable import Meridian

/// The permission under which regions serve the tables that fail over by themselves.
@Suite(.timeLimit(.minutes(2))) struct AuthorityTests {
    struct Item: Codable, Sendable {
        var id: Int
    }

    private static let home: Region = "eu-west-1"

    private static func table(_ name: String) -> Table<Item> {
        Table(name, key: \.id, locality: .regional(in: home), mode: .asynchronous, failover: .automatic)
    }

    /// Others would take the table for lost, and the home could not serve it before it has heard of it.
    @Test func aTableIsMadeWhereAnOldAuthorityIsOverUnderANewOne() async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(["us-east-1", Self.home, "ap-northeast-1"]),
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false))
        let db = cluster.database(in: "us-east-1")
        let first = Self.table("first")
        try await db.create(first)
        try await db.alter(first, mode: .asynchronous, failover: .manual)
        try await Task.sleep(for: RegionAuthority.term + .milliseconds(500))
        let end = cluster.deadline(after: .seconds(20))
        #expect(try await RegionAuthority.lapsed(of: Self.home, seenBy: db, end: end) != nil)

        let second = Self.table("second")
        try await db.create(second)
        let record = try await db.read(
            Catalog.systemRange, [.get(try Catalog.key(ofTable: second.name))], at: nil, end: end)
        let made = try #require(record.row(0)?.version.timestamp)
        let key = try Authority.key(of: Self.home)
        let authority = try await db.read(Catalog.systemRange, [.get(key)], at: made, end: end)
        let value = try #require(authority.row(0)?.version.value)
        let grant = try #require(try Authority.grant(in: Mutation(key: key, value: value)))
        #expect(grant.until > made)
        #expect(try await db.failovers(of: second).isEmpty)
        await cluster.shutdown()
    }
}
