import Foundation
import MeridianCore
import MeridianPlacement
import Testing

@testable import Meridian

/// Reads that may be stale, and reads of global tables: what they see, and that they need nobody far away.
@Suite(.timeLimit(.minutes(2))) struct LocalReadTests {
    struct Item: Codable, Sendable, Equatable {
        var id: Int
        var region: String
        var count: Int
    }

    static let items = Table<Item>("items", key: \.id, locality: .regionalByRow(\.region), survival: .region)
    static let settings = Table<Item>("settings", key: \.id, locality: .global)
    static let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]

    private func withCluster(
        retention: Duration = .seconds(600), _ body: (EmbeddedCluster) async throws -> Void
    ) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(Self.regions),
            configuration: ClusterConfiguration(storage: .memory, retention: retention))
        do {
            for region in Self.regions {
                let item = Item(id: 1, region: region.rawValue, count: 1)
                try await cluster.database(in: region).write { try await $0.insert(item, into: Self.items) }
            }
            try await cluster.database(in: "us-east-1").write {
                try await $0.insert(Item(id: 1, region: "", count: 1), into: Self.settings)
            }
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    /// How long a read took, in milliseconds.
    private func timed(_ body: () async throws -> Void) async throws -> Double {
        let start = ContinuousClock.now
        try await body()
        return Double((ContinuousClock.now - start).nanoseconds) / 1e6
    }

    @Test func aStaleReadOfAllRegionsNeedsNoMessage() async throws {
        try await withCluster { cluster in
            try await Task.sleep(for: .seconds(1))
            let db = cluster.database(in: "ap-northeast-1")
            var shortest = Double.infinity
            for _ in 0..<10 {
                let time = try await timed {
                    try await db.read(.boundedStaleness(.seconds(10))) { tx in
                        let rows = try await tx.scan(Self.items)
                        #expect(rows.count == 3)
                        let age = try #require(tx.timestamp)
                        let now = try #require(cluster.latestTimestamp(in: "ap-northeast-1"))
                        #expect(now.rawValue - age.rawValue < 1_500_000_000)
                    }
                }
                shortest = min(shortest, time)
            }
            #expect(shortest < 20)
        }
    }

    @Test func aReadAfterATokenSeesItsWriteInEveryRegion() async throws {
        try await withCluster { cluster in
            for (number, region) in Self.regions.enumerated() {
                let receipt = try await cluster.database(in: region).write { tx in
                    let item = Item(id: 1, region: region.rawValue, count: 2 + number)
                    try await tx.update(item, in: Self.items)
                }
                let text = receipt.token.description
                let token = try #require(CausalToken(text))
                for other in Self.regions {
                    try await cluster.database(in: other).read(.after(token)) { tx in
                        let found = try await tx.get(1, from: Self.items, in: region)
                        #expect(found?.count == 2 + number)
                        #expect(try #require(tx.timestamp) >= receipt.timestamp)
                        #expect(tx.token != nil)
                    }
                }
            }
        }
    }

    @Test func aReadAtAReceiptsTimestampShowsThatState() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: "eu-west-1")
            let first = try await db.write {
                try await $0.update(Item(id: 1, region: "eu-west-1", count: 5), in: Self.items)
            }
            try await db.write { try await $0.update(Item(id: 1, region: "eu-west-1", count: 6), in: Self.items) }
            for region in Self.regions {
                let found = try await cluster.database(in: region).read(.at(first.timestamp)) {
                    try await $0.get(1, from: Self.items, in: "eu-west-1")
                }
                #expect(found?.count == 5)
            }
        }
    }

    @Test func aGlobalTableIsReadFreshInEveryRegionWithoutAMessage() async throws {
        try await withCluster { cluster in
            try await Task.sleep(for: .seconds(1))
            for number in 2...4 {
                let writer = Self.regions[number % 3]
                try await cluster.database(in: writer).write {
                    try await $0.update(Item(id: 1, region: "", count: number), in: Self.settings)
                }
                for region in Self.regions {
                    let found = try await cluster.database(in: region).read {
                        try await $0.get(1, from: Self.settings)
                    }
                    #expect(found?.count == number)
                }
            }
            try await Task.sleep(for: .milliseconds(300))
            for region in Self.regions {
                var shortest = Double.infinity
                for _ in 0..<10 {
                    let time = try await timed {
                        _ = try await cluster.database(in: region).read { try await $0.get(1, from: Self.settings) }
                    }
                    shortest = min(shortest, time)
                }
                #expect(shortest < 20, "\(region)")
            }
        }
    }

    @Test func whatIsTooOldOrOfTheFutureIsRefused() async throws {
        try await withCluster(retention: .seconds(2)) { cluster in
            let db = cluster.database(in: "eu-west-1")
            let old = await #expect(throws: MeridianError.self) {
                try await db.read(.exactStaleness(.seconds(5))) { try await $0.get(1, from: Self.items) }
            }
            #expect(old?.code == .readTooOld)
            let now = try #require(cluster.latestTimestamp(in: "eu-west-1"))
            let future = await #expect(throws: MeridianError.self) {
                try await db.read(.at(now.advanced(byNanoseconds: 5_000_000_000))) {
                    try await $0.get(1, from: Self.items)
                }
            }
            #expect(future?.code == .readInFuture)
            let long = await #expect(throws: MeridianError.self) {
                try await db.read { tx in
                    _ = try await tx.get(1, from: Self.items)
                    try await Task.sleep(for: .seconds(3))
                    _ = try await tx.get(1, from: Self.items)
                }
            }
            #expect(long?.code == .readTooOld)
        }
    }

    @Test func aRegionThatIsCutOffGoesOnWithStaleReads() async throws {
        try await withCluster { cluster in
            try await Task.sleep(for: .seconds(1))
            for node in cluster.topology.nodes(in: "ap-northeast-1") { cluster.isolate(node.id) }
            let db = cluster.database(in: "ap-northeast-1")
            let rows = try await db.read(.boundedStaleness(.seconds(60)), deadline: .seconds(5)) {
                try await $0.scan(Self.items)
            }
            #expect(rows.count == 3)
        }
    }
}
