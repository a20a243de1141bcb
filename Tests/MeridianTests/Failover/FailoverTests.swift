import Foundation
import MeridianCore
import MeridianPlacement
import MeridianReplica
import Testing

@testable import Meridian

/// A home region is lost, and its rows go on elsewhere.
@Suite(.serialized, .timeLimit(.minutes(3))) struct FailoverTests {
    struct Order: Codable, Sendable, Equatable {
        var id: Int
        var region: String
        var amount: Int
    }

    static let regions: [Region] = ["us-east-1", "eu-west-1", "eu-central-1", "ap-northeast-1"]
    static let home: Region = "eu-west-1"

    private static func orders(
        _ mode: ReplicationMode, failover: FailoverPolicy = .manual
    ) -> Table<Order> {
        Table("orders", key: \.id, locality: .regionalByRow(\.region), mode: mode, failover: failover)
    }

    private func withCluster(
        storage: ClusterConfiguration.Storage = .temporary, _ body: (EmbeddedCluster) async throws -> Void
    ) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(Self.regions),
            configuration: ClusterConfiguration(storage: storage, simulatesLatency: false))
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

    private func start(_ region: Region, of cluster: EmbeddedCluster) async throws {
        for node in cluster.topology.nodes(in: region) { try await cluster.start(node.id) }
    }

    private func fill(_ table: Table<Order>, _ cluster: EmbeddedCluster, _ ids: Range<Int>) async throws {
        let db = cluster.database(in: Self.home)
        for id in ids {
            try await db.write {
                try await $0.insert(Order(id: id, region: Self.home.rawValue, amount: id), into: table)
            }
        }
    }

    private func ids(_ table: Table<Order>, _ db: Database) async throws -> [Int] {
        try await db.read(deadline: .seconds(20)) { try await $0.scan(table) }.map(\.id).sorted()
    }

    @Test func aSemiSynchronousTableLosesNothingAndItsOldHomeComesBackAsACopy() async throws {
        let table = Self.orders(.semiSynchronous(remoteRegions: 1))
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<50)
            await kill(Self.home, of: cluster)
            let db = cluster.database(in: "eu-central-1")
            let report = try #require(try await db.failOver(table, from: Self.home).first)
            #expect(report.isLossless)
            #expect(report.lostAtMostMilliseconds == 0)
            #expect(try await ids(table, db) == Array(0..<50))
            try await db.write { tx in
                try await tx.insert(Order(id: 50, region: Self.home.rawValue, amount: 1), into: table)
            }
            #expect(
                try await db.failovers(of: table)
                    == [report].map { known in
                        var known = known
                        known.milliseconds = 0
                        return known
                    })
            try await start(Self.home, of: cluster)
            try await db.moveHome(of: table, partition: Self.home, to: Self.home)
            let node = try #require(try await cluster.leaseholder(of: table, in: Self.home))
            #expect(cluster.topology.node(node)?.region == Self.home)
            #expect(try await ids(table, cluster.database(in: Self.home)) == Array(0...50))
            #expect(try await cluster.unshippedCommits(of: table).filter(\.isCommitted).isEmpty)
        }
    }

    @Test func whatOnlyTheLostHomeHadIsReportedWhenItReturns() async throws {
        let table = Self.orders(.asynchronous)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<40)
            let db = cluster.database(in: "ap-northeast-1")
            // The others fall silent, so that the home commits what nobody else hears of.
            try await cluster.database(in: Self.home).write { tx in
                try await tx.delete(0, from: table)
            }
            try await Task.sleep(for: .milliseconds(500))
            for region in Self.regions where region != Self.home { await kill(region, of: cluster) }
            try await fill(table, cluster, 40..<60)
            await kill(Self.home, of: cluster)
            for region in Self.regions where region != Self.home { try await start(region, of: cluster) }
            let report = try #require(try await db.failOver(table, from: Self.home).first)
            #expect(!report.isLossless)
            #expect(try await ids(table, db) == Array(1..<40))
            try await db.write { tx in
                try await tx.insert(Order(id: 100, region: Self.home.rawValue, amount: 1), into: table)
            }
            try await start(Self.home, of: cluster)
            try await db.moveHome(of: table, partition: Self.home, to: Self.home)
            let lost = try await cluster.unshippedCommits(of: table).filter(\.isCommitted)
            let rows = lost.flatMap(\.changes).map { change in
                if case .wrote(let row) = change { row.id } else { -1 }
            }
            #expect(rows == Array(40..<60))
            #expect(lost.allSatisfy { $0.timestamp.rawValue > report.completeTo })
            #expect(try await ids(table, db) == Array(1..<40) + [100])
        }
    }

    @Test func aClusterGoesOnFromItsFilesAfterAFailover() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-test-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let table = Self.orders(.asynchronous)
        try await withCluster(storage: .directory(path)) { cluster in
            try await fill(table, cluster, 0..<30)
            try await Task.sleep(for: .milliseconds(500))
            await kill(Self.home, of: cluster)
            try await cluster.database(in: "us-east-1").failOver(table, from: Self.home, to: "us-east-1")
        }
        try await withCluster(storage: .directory(path)) { cluster in
            let db = cluster.database(in: "us-east-1")
            #expect(try await ids(table, db) == Array(0..<30))
            try await db.moveHome(of: table, partition: Self.home, to: Self.home)
            #expect(try await ids(table, db) == Array(0..<30))
        }
    }

    @Test func anAutomaticTableGoesOnByItself() async throws {
        let table = Self.orders(.asynchronous, failover: .automatic)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<20)
            try await Task.sleep(for: .milliseconds(500))
            await kill(Self.home, of: cluster)
            let db = cluster.database(in: "us-east-1")
            let start = ContinuousClock.now
            #expect(try await ids(table, db) == Array(0..<20))
            #expect(ContinuousClock.now - start < .seconds(8))
            let report = try #require(try await db.failovers(of: table).first)
            #expect(report.fencedAt != nil)
            #expect(report.from == Self.home.rawValue)
        }
    }

    @Test func aTableBecomesAutomaticAndManualAgainWhileItIsUsed() async throws {
        let table = Self.orders(.asynchronous)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<5)
            let db = cluster.database(in: "us-east-1")
            try await db.alter(table, mode: .asynchronous, failover: .automatic)
            try await fill(table, cluster, 5..<10)
            try await db.alter(table, mode: .asynchronous, failover: .manual)
            // Longer than an authority lasts.
            try await Task.sleep(for: RegionAuthority.term + .milliseconds(500))
            try await fill(table, cluster, 10..<15)
            try await db.alter(table, mode: .asynchronous, failover: .automatic)
            try await Task.sleep(for: .milliseconds(500))
            await kill(Self.home, of: cluster)
            #expect(try await ids(table, db) == Array(0..<15))
            #expect(try await db.failovers(of: table).count == 1)
        }
    }

    @Test func whoKnowsOfTheLossFromAnOldRecordGivesUpNothingElse() async throws {
        let table = Self.orders(.asynchronous)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<10)
            try await Task.sleep(for: .milliseconds(500))
            await kill(Self.home, of: cluster)
            let db = cluster.database(in: "us-east-1")
            let end = cluster.deadline(after: .seconds(20))
            let record = try await db.record(table.name, end: end)
            let seen = try #require(record.ranges.first { $0.home == Self.home })
            try await db.failOver(table, from: Self.home, to: "us-east-1")
            let late = FailoverProcedure(
                database: db, table: table.name, seen: seen, destination: "us-east-1", authority: nil,
                acceptsLoss: false, end: end)
            do {
                _ = try await late.run()
                Issue.record("the home that had taken over was given up")
            } catch let error as MeridianError {
                #expect(error.code == .conflict)
            }
            #expect(try await db.failovers(of: table).count == 1)
        }
    }

    @Test func whatAReportHoldsIsErasedWithItsRow() async throws {
        let table = Self.orders(.asynchronous)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<3)
            let db = cluster.database(in: "ap-northeast-1")
            try await Task.sleep(for: .milliseconds(500))
            for region in Self.regions where region != Self.home { await kill(region, of: cluster) }
            try await fill(table, cluster, 3..<6)
            await kill(Self.home, of: cluster)
            for region in Self.regions where region != Self.home { try await start(region, of: cluster) }
            try await db.failOver(table, from: Self.home)
            try await start(Self.home, of: cluster)
            try await db.moveHome(of: table, partition: Self.home, to: Self.home)
            let certificate = try await cluster.erase(4, from: table, under: "eu-west-1")
            #expect(certificate.isComplete)
            let left = try await cluster.unshippedCommits(of: table).flatMap(\.changes).compactMap { change in
                if case .wrote(let row) = change { row.id } else { nil }
            }
            #expect(left == [3, 5])
        }
    }

    @Test func aHomeThatAnswersLosesNothingWhenItIsGivenUp() async throws {
        let table = Self.orders(.asynchronous)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<20)
            let db = cluster.database(in: "us-east-1")
            let report = try #require(try await db.failOver(table, from: Self.home, to: "us-east-1").first)
            #expect(report.isLossless)
            #expect(try await ids(table, db) == Array(0..<20))
            #expect(try await cluster.unshippedCommits(of: table).filter(\.isCommitted).isEmpty)
        }
    }

    @Test func aTableWithoutCopiesElsewhereIsNotGivenUpSilently() async throws {
        let table = Self.orders(.synchronous)
        try await withCluster { cluster in
            try await fill(table, cluster, 0..<5)
            await kill(Self.home, of: cluster)
            let db = cluster.database(in: "us-east-1")
            do {
                try await db.failOver(table, from: Self.home)
                Issue.record("a failover from nothing has succeeded")
            } catch let error as MeridianError {
                #expect(error.code == .unavailable)
            }
            // The home comes back, and the failover ends there.
            try await start(Self.home, of: cluster)
            let report = try #require(try await db.failOver(table, from: Self.home, to: Self.home).first)
            #expect(report.isLossless)
            #expect(try await ids(table, db) == Array(0..<5))
        }
    }
}
