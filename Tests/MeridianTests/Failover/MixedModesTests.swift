import MeridianCore
import Testing

@testable import Meridian

/// Rows of tables with different modes and goals in one closure, while the home of one of them is lost.
@Suite(.serialized, .timeLimit(.minutes(3))) struct MixedModesTests {
    struct Row: Codable, Sendable, Equatable { var id: Int; var value: Int }

    static let regions: [Region] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"]
    static let east: Region = "us-east-1"
    static let west: Region = "eu-west-1"
    /// Where the weak table has its copies.
    static let copies: [Region] = ["us-east-2", "us-west-2"]

    private static let weak = Table<Row>("weak", key: \.id, locality: .regional(in: east), mode: .asynchronous)
    private static let strong = Table<Row>("strong", key: \.id, locality: .regional(in: west), survival: .region)

    private func withCluster(
        _ regions: [Region] = regions, _ body: (EmbeddedCluster) async throws -> Void
    ) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(regions), configuration: ClusterConfiguration(storage: .temporary, simulatesLatency: false))
        do {
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func kill(_ region: Region, of cluster: EmbeddedCluster) async {
        for node in cluster.topology.nodes(in: region) { await cluster.kill(node.id) }
    }

    /// The copies of the weak table lag when its home is lost, so its part is gone, and nothing tells of it.
    @Test(arguments: [false, true])
    func aCommitOfATableThatSurvivesARegionOutlivesAnAsynchronousTablesHome(isWrittenFirst: Bool) async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            for table in [Self.weak, Self.strong] {
                try await db.create(table)
                try await db.write { try await $0.upsert(Row(id: 0, value: 0), into: table) }
            }
            try await Task.sleep(for: .milliseconds(500))
            for region in Self.copies { cluster.isolate(region) }
            try await db.write { tx in
                for table in isWrittenFirst ? [Self.strong, Self.weak] : [Self.weak, Self.strong] {
                    try await tx.upsert(Row(id: 1, value: 42), into: table)
                }
            }
            await kill(Self.east, of: cluster)
            for region in Self.copies { cluster.heal(region) }
            let far = cluster.database(in: "eu-central-1")
            try await far.failOver(Self.weak, from: Self.east, to: Self.copies[0])
            let row = try await far.read(deadline: .seconds(20)) { try await $0.get(1, from: Self.strong) }
            #expect(row?.value == 42)
        }
    }
}
