import BenchSupport
import Foundation
import Meridian
import MeridianCore
import Testing

/// What was erased is in no file of any node, and the certificate says so only when it is true.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ErasureTests {
    struct Person: Codable, Sendable, Equatable {
        var id: String
        var region: String
        var name: String
        var visits = 0
    }

    private static let people = Table<Person>(
        "people", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
    /// With learners in the other region of its law.
    private static let visits = Table<Person>(
        "visits", key: \.id, locality: .regional(in: "eu-west-1"), placement: .restricted, mode: .asynchronous)
    private static let regions: [Region] = ["eu-west-1", "eu-central-1", "us-east-1"]
    private static let adaKey = "zq9-ada-key"
    private static let adaName = "zq9-ada-name"
    private static let graceName = "zq9-grace-name"

    private final class World: Sendable {
        let cluster: EmbeddedCluster
        let directory: String
        private let scan = ByteScan([adaKey, adaName, graceName].map { Array($0.utf8) })

        init() async throws {
            directory = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-erase-\(UUID())").path
            let topology = try Topology.aws(
                ErasureTests.regions, jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU", "us-east-1": "US"])
            cluster = try await EmbeddedCluster(
                topology: topology,
                configuration: ClusterConfiguration(
                    storage: .directory(directory), simulatesLatency: false, rules: .examples))
        }

        /// How often Ada, and Grace, stand in the files of a node, or of all.
        func found(on node: String? = nil) throws -> (ada: Int, grace: Int) {
            var sum = (ada: 0, grace: 0)
            for name in try FileManager.default.subpathsOfDirectory(atPath: directory) {
                if let node, !name.hasPrefix(node + "/") { continue }
                guard let counts = try? scan.counts(inFile: directory + "/" + name).counts else { continue }
                sum.ada += counts[0] + counts[1]
                sum.grace += counts[2]
            }
            return sum
        }
    }

    private func withWorld(_ body: (World) async throws -> Void) async throws {
        let world = try await World()
        defer { try? FileManager.default.removeItem(atPath: world.directory) }
        do {
            try await body(world)
            await world.cluster.shutdown()
        } catch {
            await world.cluster.shutdown()
            throw error
        }
    }

    /// Ada with a history: changed often, moved, visited, deleted once under another key. Grace beside her.
    private func fill(_ world: World) async throws {
        let db = world.cluster.database(in: "eu-west-1")
        for number in 0..<40 {
            try await db.write { tx in
                let grace = Person(id: "grace-\(number)", region: "eu-west-1", name: "\(Self.graceName)-\(number)")
                try await tx.insert(grace, into: Self.people)
            }
        }
        var ada = Person(id: Self.adaKey, region: "eu-west-1", name: Self.adaName)
        try await db.write { [ada] in try await $0.insert(ada, into: Self.people) }
        for visit in 1...10 {
            ada.visits = visit
            ada.region = visit > 5 ? "eu-central-1" : "eu-west-1"
            try await db.write { [ada] in try await $0.update(ada, in: Self.people) }
        }
        for visit in 0..<5 {
            let row = Person(id: "\(Self.adaKey)-\(visit)", region: "eu-west-1", name: Self.adaName)
            try await db.write { try await $0.insert(row, into: Self.visits) }
        }
    }

    @Test func noFileHoldsAnErasedPerson() async throws {
        try await withWorld { world in
            try await fill(world)
            let before = try world.found()
            #expect(before.ada > 10 && before.grace > 10)
            var certificate = try await world.cluster.erase(Self.adaKey, from: Self.people, under: "EU")
            #expect(certificate.isComplete, "\(certificate.pendingNodes)")
            #expect(certificate.ranges.map(\.home).sorted() == ["eu-central-1", "eu-west-1"])
            #expect(try certificate.covers(Self.adaKey, of: Self.people))
            #expect(!(try certificate.covers("grace-1", of: Self.people)))
            let due = try #require(certificate.dueNanoseconds)
            #expect((due - certificate.requestedNanoseconds) / 86_400_000_000_000 == 30)
            certificate = try await world.cluster.erase(from: Self.visits) { $0.name == Self.adaName }
            #expect(certificate.isComplete && certificate.keyCount == 5)
            #expect(certificate.ranges[0].replicas.contains { $0.role == "learner" })
            let after = try world.found()
            #expect(after.ada == 0)
            #expect(after.grace > 10)
            let db = world.cluster.database(in: "eu-central-1")
            #expect(try await db.read { try await $0.get(Self.adaKey, from: Self.people) } == nil)
            #expect(try await db.read { try await $0.scan(Self.people) }.count == 40)
            let text = String(decoding: try JSONEncoder().encode(certificate), as: UTF8.self)
            #expect(!text.contains("zq9"))
            #expect(try JSONDecoder().decode(ErasureCertificate.self, from: Data(text.utf8)) == certificate)
            await world.cluster.shutdown()
            #expect(try world.found().ada == 0)
        }
    }

    @Test func aNodeThatIsDownIsOutstandingUntilItHasCaughtUp() async throws {
        try await withWorld { world in
            try await fill(world)
            // Of each range two of three voters go on.
            let absent = world.cluster.topology.nodes(in: "eu-west-1")[2]
            await world.cluster.kill(absent.id)
            let certificate = try await world.cluster.erase(
                Self.adaKey, from: Self.people, under: "EU", deadline: .seconds(20))
            #expect(!certificate.isComplete)
            #expect(certificate.pendingNodes == [absent.name])
            #expect(try world.found(on: absent.name).ada > 0)
            // What was erased does not come back with it.
            try await world.cluster.start(absent.id)
            let complete = try await world.cluster.complete(certificate)
            #expect(complete.isComplete, "\(complete.pendingNodes)")
            _ = try await world.cluster.erase(from: Self.visits) { $0.name == Self.adaName }
            #expect(try world.found().ada == 0)
            #expect(world.cluster.verify(complete) && world.cluster.verify(chain: [complete, certificate]))
        }
    }

    @Test func aTransactionThatReadAnErasedRowDoesNotCommit() async throws {
        try await withWorld { world in
            try await fill(world)
            let db = world.cluster.database(in: "eu-west-1")
            let runs = Locked(0)
            let visits = try await db.transact { tx in
                let ada = try await tx.get(Self.adaKey, from: Self.people)
                if runs.with({
                    $0 += 1; return $0
                }) == 1 {
                    _ = try await world.cluster.erase(Self.adaKey, from: Self.people, under: "EU")
                }
                let copy = Person(id: "copy", region: "eu-west-1", name: ada == nil ? "nobody" : "somebody")
                try await tx.insert(copy, into: Self.people)
                return ada?.visits
            }.result
            #expect(visits == nil)
            #expect(runs.with { $0 } == 2)
            #expect(try await db.read { try await $0.get("copy", from: Self.people) }?.name == "nobody")
        }
    }

    @Test func anErasedKeyCanBeWrittenAnewAndSurvivesARestart() async throws {
        try await withWorld { world in
            try await fill(world)
            _ = try await world.cluster.erase(Self.adaKey, from: Self.people, under: "EU")
            let db = world.cluster.database(in: "eu-west-1")
            let other = Person(id: Self.adaKey, region: "eu-west-1", name: "another Ada")
            try await db.write { try await $0.insert(other, into: Self.people) }
            for node in world.cluster.topology.nodes(in: "eu-west-1") {
                await world.cluster.kill(node.id)
                try await world.cluster.start(node.id)
            }
            #expect(try await db.read { try await $0.get(Self.adaKey, from: Self.people) } == other)
        }
    }

    @Test func aCertificateThatWasAlteredIsNoticed() async throws {
        try await withWorld { world in
            try await fill(world)
            let certificate = try await world.cluster.erase("grace-1", from: Self.people, under: "EU")
            #expect(world.cluster.verify(certificate))
            var altered = certificate
            altered.ranges[0].replicas[0].confirmedNanoseconds = nil
            #expect(!world.cluster.verify(altered))
            await #expect(throws: MeridianError.self) { _ = try await world.cluster.complete(altered) }
        }
    }

    @Test func theLawMustBeNamedWhereThereAreSeveral() async throws {
        try await withWorld { world in
            let error = await #expect(throws: MeridianError.self) {
                _ = try await world.cluster.erase("ada", from: Self.people)
            }
            #expect(error?.code == .jurisdictionViolation)
        }
    }
}
