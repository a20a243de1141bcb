import Meridian
import MeridianCore
import Synchronization
import Testing

/// Writes of active-active tables under a client's id, repeated through another region.
@Suite struct NamedWriteTests {
    struct Count: Codable, Sendable, Equatable { var id: Int; var hits: Int }

    static let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]
    static let counts = Table<Count>("counts", key: \.id, convergence: .columns(.counter(\.hits)))

    private func withCluster(_ body: (EmbeddedCluster) async throws -> Void) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(Self.regions, nodesPerRegion: 1),
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false))
        do {
            try await cluster.database(in: Self.regions[0]).create(Self.counts)
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private static func newID() -> RequestID {
        RequestID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }

    private static func hit(_ tx: Transaction) async throws {
        if var row = try await tx.get(1, from: counts) {
            row.hits += 1
            try await tx.update(row, in: counts)
        } else {
            try await tx.insert(Count(id: 1, hits: 1), into: counts)
        }
    }

    /// Also at once, when the others' copies have not heard of the first.
    @Test(arguments: [0, 1, 2]) func anIdIsDoneOnceInAllCopies(first: Int) async throws {
        try await withCluster { cluster in
            let id = Self.newID()
            let receipt = try await cluster.database(in: Self.regions[first]).write(id: id) { try await Self.hit($0) }
            for region in Self.regions.reversed() {
                let again = try await cluster.database(in: region).write(id: id) { try await Self.hit($0) }
                #expect(again.timestamp == receipt.timestamp, "\(region)")
            }
            try await cluster.database(in: Self.regions[0]).waitUntilConverged(Self.counts)
            for region in Self.regions { #expect(try await hits(cluster, in: region) == 1) }
        }
    }

    private func hits(_ cluster: EmbeddedCluster, in region: Region) async throws -> Int? {
        try await cluster.database(in: region).read { try await $0.get(1, from: Self.counts) }?.hits
    }

    /// The copy that took the first attempt may still commit it. What it cannot tell yet is waited for.
    @Test func aSessionDoesNotWriteThroughASecondRegionWhatTheFirstMayCommit() async throws {
        let (east, west): (Region, Region) = ("us-east-1", "eu-west-1")
        let cluster = try await EmbeddedCluster(
            topology: .aws([east, west], nodesPerRegion: 3),
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false))
        let db = cluster.database(in: east)
        try await db.write { try await $0.insert(Count(id: 1, hits: 0), into: Self.counts) }
        try await db.waitUntilConverged(Self.counts)
        var configuration = RoutingConfiguration()
        configuration.attemptTimeout = .seconds(1)
        let session = try RegionRouter(db, configuration: configuration).session(.none)
        let isCut = Mutex(false)
        async let healed: Void = {
            while !isCut.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(10)) }
            try await Task.sleep(for: .seconds(3))
            for node in cluster.topology.nodes(in: east) { cluster.heal(node.id) }
        }()
        try await session.write(deadline: .seconds(60)) { tx in
            try await Self.hit(tx)
            // Nobody has a quorum of this copy when the first attempt is sent.
            let isFirst = isCut.withLock { isCut in
                defer { isCut = true }
                return !isCut
            }
            if isFirst { for node in cluster.topology.nodes(in: east) { cluster.isolate(node.id) } }
        }
        try await healed
        try await db.waitUntilConverged(Self.counts)
        #expect(try await hits(cluster, in: east) == 1)
        #expect(try await hits(cluster, in: west) == 1)
        await cluster.shutdown()
    }

    /// The closure finds in its own copy what the first call has written, and throws.
    @Test func anIdThatHasInsertedIsKnownWhereTheRowHasArrived() async throws {
        try await withCluster { cluster in
            let id = Self.newID()
            let receipt = try await cluster.database(in: Self.regions[2]).write(id: id) {
                try await $0.insert(Count(id: 2, hits: 5), into: Self.counts)
            }
            let db = cluster.database(in: Self.regions[1])
            try await db.waitUntilConverged(Self.counts)
            let again = try await db.write(id: id) { try await $0.insert(Count(id: 2, hits: 5), into: Self.counts) }
            #expect(again.timestamp == receipt.timestamp)
            let deletion = Self.newID()
            let gone = try await db.write(id: deletion) { try await $0.delete(2, from: Self.counts) }
            let east = cluster.database(in: Self.regions[0])
            try await east.waitUntilConverged(Self.counts)
            let goneAgain = try await east.write(id: deletion) { try await $0.delete(2, from: Self.counts) }
            #expect(goneAgain.timestamp == gone.timestamp)
        }
    }
}
