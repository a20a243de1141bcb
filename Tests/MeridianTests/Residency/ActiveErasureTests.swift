import BenchSupport
import Foundation
import MeridianCore
import MeridianPlacement
import MeridianReplica
import Testing

@testable import Meridian

/// An erasure of an active-active table is in every copy, and stays.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ActiveErasureTests {
    struct Note: Codable, Sendable, Equatable {
        var id: String
        var text: String
    }

    private static let east: Region = "us-east-1"
    private static let west: Region = "eu-west-1"
    private static let notes = Table<Note>("notes", key: \.id, convergence: .lastWriterWins)
    private static let ada = "zq9-ada-key"
    private static let canary = "zq9-canary"

    private func withCluster(_ body: (EmbeddedCluster, _ directory: String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-active-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let cluster = try await EmbeddedCluster(
            topology: .aws([Self.east, Self.west], nodesPerRegion: 1),
            configuration: ClusterConfiguration(storage: .directory(directory), simulatesLatency: false))
        do {
            try await body(cluster, directory)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func eventually(_ what: Comment, _ isSo: () async throws -> Bool) async throws {
        let end = ContinuousClock().now + .seconds(20)
        while ContinuousClock().now < end {
            if (try? await isSo()) == true { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        try #require(await isSo(), what)
    }

    private func files(in directory: String) throws -> [String] {
        let scan = ByteScan([Self.ada, Self.canary].map { Array($0.utf8) })
        return try FileManager.default.subpathsOfDirectory(atPath: directory).filter { name in
            ((try? scan.counts(inFile: directory + "/" + name).counts) ?? []).contains { $0 > 0 }
        }
    }

    private func insert(_ cluster: EmbeddedCluster) async throws -> (east: Database, west: Database) {
        let (east, west) = (cluster.database(in: Self.east), cluster.database(in: Self.west))
        try await east.write { try await $0.insert(Note(id: Self.ada, text: Self.canary), into: Self.notes) }
        try await eventually("the row arrives") {
            try await west.read { try await $0.get(Self.ada, from: Self.notes) } != nil
        }
        return (east, west)
    }

    private func copies(_ cluster: EmbeddedCluster) async throws -> (east: ActiveTable, west: ActiveTable) {
        let db = cluster.database(in: Self.east)
        let record = try await db.record("notes", end: db.host.deadline(after: .seconds(5)))
        return (
            try #require(try ActiveTable(record, region: Self.east, topology: cluster.topology)),
            try #require(try ActiveTable(record, region: Self.west, topology: cluster.topology))
        )
    }

    /// Each copy has all rows, so the law of one region does not say where they are.
    @Test func anErasureUnderOneLawReachesTheCopiesUnderAllOthers() async throws {
        try await withCluster { cluster, _ in
            let (east, west) = try await insert(cluster)
            let certificate = try await cluster.erase(Self.ada, from: Self.notes, under: "eu-west-1")
            #expect(certificate.isComplete && Set(certificate.ranges.map(\.home)) == [Self.east, Self.west])
            for (database, table) in [(east, try await copies(cluster).east), (west, try await copies(cluster).west)] {
                // Also where copies are compared.
                let comparison = CopyComparison(database: database, table: table, other: table.others[0])
                _ = try await comparison.run(end: database.host.deadline(after: .seconds(5)))
                #expect(try await database.read { try await $0.get(Self.ada, from: Self.notes) } == nil)
            }
        }
    }

    /// A page that was read before, and is merged afterwards.
    @Test func aPageInAPullersHandDoesNotBringAnErasedRowBack() async throws {
        try await withCluster { cluster, _ in
            let (_, west) = try await insert(cluster)
            let table = try await copies(cluster).west
            let end = west.host.deadline(after: .seconds(30))
            let source = table.others[0]
            let page = try await west.read(
                source.range.id, [.scan(table.span(of: .primary, in: source), limit: 10, byteLimit: 1 << 20)], at: nil,
                end: end)
            #expect(page.pages[0].rows.count == 1)
            #expect(try await cluster.erase(Self.ada, from: Self.notes).isComplete)
            try await CopyMerge(database: west, table: table, source: source).take(
                page.pages[0].rows, readAt: page.timestamp, cursor: nil, end: end)
            #expect(try await west.read { try await $0.get(Self.ada, from: Self.notes) } == nil)
            // The key can be used again, everywhere.
            let anew = Note(id: Self.ada, text: "anew")
            try await west.write { try await $0.insert(anew, into: Self.notes) }
            let east = cluster.database(in: Self.east)
            try await eventually("the new row arrives") {
                try await east.read { try await $0.get(Self.ada, from: Self.notes) } == anew
            }
        }
    }

    @Test func noFileOfARetiredCopyHoldsAnErasedRow() async throws {
        try await withCluster { cluster, directory in
            let (east, west) = try await insert(cluster)
            cluster.isolate(Self.west)
            try await east.write { try await $0.update(Note(id: Self.ada, text: Self.canary + "e"), in: Self.notes) }
            try await west.write { try await $0.update(Note(id: Self.ada, text: Self.canary + "w"), in: Self.notes) }
            cluster.heal(Self.west)
            try await east.waitUntilConverged(Self.notes)
            try await eventually("they have met") { try await !east.conflicts(of: Self.notes).isEmpty }
            try await east.retireCopy(of: Self.notes, in: Self.west)
            let certificate = try await cluster.erase(Self.ada, from: Self.notes)
            #expect(certificate.isComplete && certificate.ranges.count == 2, "\(certificate.unreachedRegions)")
            #expect(try await east.conflicts(of: Self.notes).isEmpty)
            await cluster.shutdown()
            #expect(try files(in: directory).isEmpty)
        }
    }

    /// What cannot be reached stands in the certificate, and nothing of it comes back meanwhile.
    @Test func aCopyThatIsCutOffIsOutstandingAndErasesWhenItIsBack() async throws {
        try await withCluster { cluster, directory in
            let (east, west) = try await insert(cluster)
            let node = cluster.topology.nodes(in: Self.west)[0]
            await cluster.kill(node.id)
            let certificate = try await cluster.erase(Self.ada, from: Self.notes, deadline: .seconds(15))
            #expect(!certificate.isComplete && certificate.unreachedRegions == [Self.west])
            try await cluster.start(node.id)
            try await eventually("the copy serves") {
                _ = try await west.read { try await $0.scan(Self.notes) }; return true
            }
            let complete = try await cluster.complete(certificate, deadline: .seconds(20))
            #expect(complete.isComplete, "\(complete.unreachedRegions), \(complete.pendingNodes)")
            for db in [east, west] {
                #expect(try await db.read { try await $0.get(Self.ada, from: Self.notes) } == nil)
            }
            await cluster.shutdown()
            #expect(try files(in: directory).isEmpty)
        }
    }

    /// A copy that learns of an erasure from another one alone.
    @Test func marksTravelWithoutTheirKeys() async throws {
        try await withCluster { cluster, _ in
            let (east, west) = try await insert(cluster)
            let (inEast, inWest) = try await copies(cluster)
            let end = east.host.deadline(after: .seconds(30))
            let key = try inEast.resolved.key([.text(Self.ada)], in: inEast.own.range)
            try await inEast.erasure(east).erase(
                [key], at: try await east.readTimestamp(end: end), isNew: true, end: end)
            let exchange = ErasureExchange(database: west, table: inWest, other: inWest.others[0])
            try await exchange.run(end: end)
            #expect(try await west.read { try await $0.get(Self.ada, from: Self.notes) } == nil)
            let open = inWest.span(of: .openErasures, in: inWest.own)
            #expect(try await west.rows(of: open, in: inWest.own.range.id, end: end).isEmpty)
            let marks = try await west.rows(
                of: inWest.span(of: .erasures, in: inWest.own), in: inWest.own.range.id, end: end)
            #expect(marks.count == 1)
            #expect(!String(decoding: marks[0].key.bytes, as: UTF8.self).contains(Self.ada))
        }
    }
}
