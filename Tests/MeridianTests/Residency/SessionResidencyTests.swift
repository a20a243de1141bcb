import MeridianCore
import MeridianPlacement
import Testing

@testable import Meridian

/// A client is judged by the law where it is, whatever way its requests take, and the ledger counts what it is given.
@Suite struct SessionResidencyTests {
    struct Person: Codable, Sendable, Equatable {
        var id: String
        var region: String
        var name: String
    }

    private static let home: Region = "eu-west-1"
    private static let abroad: Region = "us-east-1"
    private static let people = Table<Person>(
        "people", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
    private static let ada = Person(id: "ada", region: "eu-west-1", name: "Ada")

    private func withCluster(
        _ access: JurisdictionRule.Access, _ body: (EmbeddedCluster) async throws -> Void
    ) async throws {
        let rule = JurisdictionRule(jurisdiction: "EU", readsFromOutside: access, writesFromOutside: access)
        let cluster = try await EmbeddedCluster(
            topology: .aws(
                [Self.home, Self.abroad], nodesPerRegion: 1, jurisdictions: [Self.home: "EU", Self.abroad: "US"]),
            configuration: ClusterConfiguration(
                storage: .memory, simulatesLatency: false, rules: try JurisdictionRules([rule])))
        do {
            try await cluster.database(in: Self.home).write { try await $0.insert(Self.ada, into: Self.people) }
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func code(_ body: () async throws -> Void) async -> MeridianError.Code? {
        do {
            try await body()
            return nil
        } catch { return (error as? MeridianError)?.code }
    }

    @Test func aDetourThroughTheLawsOwnRegionIsRefused() async throws {
        try await withCluster(.refused) { cluster in
            let session = try cluster.session(near: Self.abroad, .homeRegion(Self.home))
            #expect(session.gateway == Self.home)
            #expect(
                await code {
                    _ = try await session.read { try await $0.get("ada", from: Self.people, in: Self.home) }
                } == .jurisdictionViolation)
            #expect(
                await code {
                    _ = try await session.read { try await $0.scan(Self.people, in: Self.home) }
                } == .jurisdictionViolation)
            #expect(
                await code {
                    try await session.write {
                        try await $0.upsert(Person(id: "b", region: "eu-west-1", name: "B"), into: Self.people)
                    }
                } == .jurisdictionViolation)
            // Rows of several ranges, one of which is at home abroad.
            #expect(
                await code {
                    try await session.write { tx in
                        try await tx.upsert(Person(id: "b", region: "eu-west-1", name: "B"), into: Self.people)
                        try await tx.upsert(Person(id: "c", region: "us-east-1", name: "C"), into: Self.people)
                    }
                } == .jurisdictionViolation)
            let own = try cluster.session(near: Self.home, .homeRegion(Self.home))
            #expect(try await own.read { try await $0.get("ada", from: Self.people, in: Self.home) } == Self.ada)
            #expect(try await own.read { try await $0.scan(Self.people, in: Self.home).count } == 1)
            #expect(cluster.egress.answeredBytes == 0 && cluster.egress.leakedBytes == 0)
        }
    }

    @Test func aRouterThatLeavesAFailedRegionTakesItsLawAlong() async throws {
        try await withCluster(.refused) { cluster in
            let session = try cluster.session(near: Self.abroad, .causal)
            for node in cluster.topology.nodes(in: Self.abroad) { await cluster.kill(node.id) }
            #expect(
                await code {
                    _ = try await session.read { try await $0.get("ada", from: Self.people, in: Self.home) }
                } != nil)
            #expect(cluster.egress.answeredBytes == 0)
        }
    }

    @Test func answersThroughAGatewayElsewhereAreInTheLedger() async throws {
        try await withCluster(.allowed) { cluster in
            let direct = cluster.database(in: Self.abroad)
            #expect(try await direct.read { try await $0.get("ada", from: Self.people, in: Self.home) } == Self.ada)
            let once = cluster.egress.answeredBytes
            #expect(once > 0)
            let session = try cluster.session(near: Self.abroad, .homeRegion(Self.home))
            #expect(try await session.read { try await $0.get("ada", from: Self.people, in: Self.home) } == Self.ada)
            #expect(cluster.egress.answeredBytes == 2 * once, "the same row by another way")
            let asked = cluster.egress[.request].bytes
            try await session.write {
                try await $0.upsert(Person(id: "b", region: "eu-west-1", name: "B"), into: Self.people)
            }
            #expect(cluster.egress[.request].bytes > asked)
            #expect(cluster.egress.leakedBytes == 0)
        }
    }
}
