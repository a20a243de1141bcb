import Foundation
import Meridian
import Testing

/// The whole store in one process, over SQLite and links as long as the real ones.
@Suite(.serialized) struct EmbeddedClusterTests {
    struct User: Codable, Sendable, Equatable {
        var id: Int
        var region: String
        var name: String
    }

    static let users = Table<User>("users", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)

    static func cluster(
        _ storage: ClusterConfiguration.Storage = .temporary, latency: Bool = false
    ) async throws -> EmbeddedCluster {
        try await EmbeddedCluster(
            topology: .aws(["us-east-1", "eu-west-1", "eu-central-1"], jurisdictions: [
                "eu-west-1": "EU", "eu-central-1": "EU",
            ]),
            configuration: ClusterConfiguration(storage: storage, simulatesLatency: latency))
    }

    @Test(.timeLimit(.minutes(1))) func aCommittedRowIsReadFromEveryRegion() async throws {
        let cluster = try await Self.cluster()
        let ada = User(id: 1, region: "eu-west-1", name: "Ada")
        let receipt = try await cluster.database(in: "eu-west-1").write { try await $0.insert(ada, into: Self.users) }
        #expect(receipt.timestamp > .zero)
        for region in cluster.topology.regions {
            let found = try await cluster.database(in: region).read { try await $0.get(1, from: Self.users) }
            #expect(found == ada)
        }
        await cluster.shutdown()
    }
}
