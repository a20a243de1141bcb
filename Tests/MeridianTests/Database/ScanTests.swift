import Foundation
import MeridianCore
import Synchronization
import Testing

@testable import Meridian

/// Scans see every row, wherever their pages end, and a transaction's scan depends on what it has returned alone.
@Suite struct ScanTests {
    struct Blob: Codable, Sendable, Equatable {
        var id: Int
        var data: String
    }

    private static let east: Region = "us-east-1"
    private static let blobs = Table<Blob>("blobs", key: \.id, locality: .regional(in: east))
    private static let copies = Table<Blob>("copies", key: \.id, convergence: .lastWriterWins)

    private func withCluster(_ body: (EmbeddedCluster, Database) async throws -> Void) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws([Self.east], nodesPerRegion: 1), configuration: ClusterConfiguration(storage: .memory))
        do {
            try await body(cluster, cluster.database(in: Self.east))
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func insert(_ ids: Range<Int>, bytes: Int, into table: Table<Blob>, _ db: Database) async throws {
        let data = String(repeating: "x", count: bytes)
        for start in stride(from: ids.lowerBound, to: ids.upperBound, by: 10_000_000 / (bytes + 100)) {
            let end = min(ids.upperBound, start + 10_000_000 / (bytes + 100))
            try await db.write(deadline: .seconds(60)) { tx in
                for id in start..<end { try await tx.insert(Blob(id: id, data: data), into: table) }
            }
        }
    }

    @Test(arguments: [(count: 3_000, bytes: 1_000), (7, 600_000), (2_100, 10), (3, 1 << 21)])
    func everyRowIsSeenWhateverItsLength(count: Int, bytes: Int) async throws {
        try await withCluster { cluster, db in
            for table in [Self.blobs, Self.copies] {
                try await insert(0..<count, bytes: bytes, into: table, db)
                let ids = Array(0..<count)
                #expect(try await db.read(deadline: .seconds(60)) { try await $0.scan(table).map(\.id) } == ids)
                let inside = try await db.transact(deadline: .seconds(60)) { try await $0.scan(table).map(\.id) }
                #expect(inside.result == ids)
                let sum = try await db.aggregate(over: table, [.count])
                #expect(sum[nil]?.values == [.number(Double(count))])
                for limit in [1, count - 1, count, count + 1] {
                    let some = try await db.read { try await $0.scan(table, limit: limit).map(\.id) }
                    #expect(some == Array(ids.prefix(limit)))
                }
                let last = count - 1
                let certificate = try await cluster.erase(from: table) { $0.id == last }
                #expect(certificate.keyCount == 1 && certificate.isComplete)
                #expect(try await db.read { try await $0.get(last, from: table) } == nil)
            }
        }
    }

    @Test func aLimitedScanBehindDeletedRowsFindsTheFirstOneThatIsThere() async throws {
        try await withCluster { _, db in
            for table in [Self.blobs, Self.copies] {
                try await insert(0..<3_000, bytes: 1, into: table, db)
                try await db.write(deadline: .seconds(60)) { tx in
                    for id in 0..<2_999 { try await tx.delete(id, from: table) }
                }
                let found = try await db.read(deadline: .seconds(60)) { try await $0.scan(table, limit: 1).map(\.id) }
                let inside = try await db.transact(deadline: .seconds(60)) {
                    try await $0.scan(table, limit: 1).map(\.id)
                }
                #expect(found == [2_999] && inside.result == [2_999])
            }
        }
    }

    @Test(arguments: [0, -1]) func aScanForNoRowsReturnsNone(limit: Int) async throws {
        try await withCluster { _, db in
            try await insert(0..<2, bytes: 1, into: Self.blobs, db)
            #expect(try await db.read { try await $0.scan(Self.blobs, limit: limit) }.isEmpty)
            #expect(try await db.transact { try await $0.scan(Self.blobs, limit: limit) }.result.isEmpty)
        }
    }

    /// The own writes count: rows that are deleted make room, rows that are inserted push others out.
    @Test func aLimitedScanOfATransactionCountsItsOwnWrites() async throws {
        try await withCluster { _, db in
            for id in [10, 20, 30, 40] { try await insert(id..<id + 1, bytes: 1, into: Self.blobs, db) }
            try await db.write { tx in
                try await tx.delete(10, from: Self.blobs)
                try await tx.delete(20, from: Self.blobs)
                #expect(try await tx.scan(Self.blobs, limit: 2).map(\.id) == [30, 40])
                try await tx.insert(Blob(id: 35, data: ""), into: Self.blobs)
                try await tx.insert(Blob(id: 50, data: ""), into: Self.blobs)
                #expect(try await tx.scan(Self.blobs, limit: 2).map(\.id) == [30, 35])
                #expect(try await tx.scan(Self.blobs, limit: 9).map(\.id) == [30, 35, 40, 50])
            }
        }
    }

    /// - Parameter other: what somebody else inserts after a scan for two of the rows 10, 20, 30.
    @Test(arguments: [(other: 5, runs: 2), (15, 2), (25, 1), (99, 1)])
    func aLimitedScanConflictsWithRowsUpToItsLastOne(other: Int, runs: Int) async throws {
        try await withCluster { _, db in
            for id in [10, 20, 30] { try await insert(id..<id + 1, bytes: 1, into: Self.blobs, db) }
            let (count, seen) = try await db.transact { tx in
                let attempt = attempts.add()
                let seen = try await tx.scan(Self.blobs, limit: 2).map(\.id)
                if attempt == 1 { try await insert(other..<other + 1, bytes: 1, into: Self.blobs, db) }
                try await tx.upsert(Blob(id: 1_000, data: "\(seen)"), into: Self.blobs)
                return (attempt, seen)
            }.result
            #expect(count == runs)
            #expect(seen == Array([10, 20, 30, other].sorted().prefix(2)))
        }
    }

    /// What is inserted behind the last row belongs to a scan that came to the end of its span.
    @Test func aScanToTheEndConflictsWithWhateverComesIn() async throws {
        try await withCluster { _, db in
            try await insert(10..<11, bytes: 1, into: Self.blobs, db)
            let count = try await db.transact { tx in
                let attempt = attempts.add()
                let seen = try await tx.scan(Self.blobs, limit: 2).map(\.id)
                if attempt == 1 { try await insert(99..<100, bytes: 1, into: Self.blobs, db) }
                try await tx.upsert(Blob(id: 5, data: "\(seen)"), into: Self.blobs)
                return attempt
            }.result
            #expect(count == 2)
        }
    }

    private let attempts = Counter()

    private final class Counter: Sendable {
        private let count = Atomic(0)
        func add() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
    }
}
