import Foundation
import Meridian
import Testing

/// What happens to a cluster when nodes die, files are reopened and quorums are lost.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ClusterFaultTests {
    struct Item: Codable, Sendable, Equatable {
        var id: Int
        var text: String
    }

    static let items = Table<Item>("items", key: \.id, locality: .regional(in: "local"))

    private func configuration(_ storage: ClusterConfiguration.Storage = .temporary) -> ClusterConfiguration {
        ClusterConfiguration(storage: storage, simulatesLatency: false)
    }

    private func directory() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("meridian-test-\(UUID())").path
    }

    @Test func aClusterGoesOnFromItsFiles() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let topology = try Topology.local(nodes: 3)
        for round in 0..<3 {
            let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration(.directory(path)))
            let db = cluster.database(in: "local")
            let before = try await db.read { try await $0.scan(Self.items) }
            #expect(before.map(\.id) == Array(0..<(round * 50)))
            for id in (round * 50)..<(round * 50 + 50) {
                try await db.write { try await $0.insert(Item(id: id, text: "row \(id)"), into: Self.items) }
            }
            await cluster.shutdown()
        }
    }

    @Test func aClusterGoesOnAfterAllItsNodesCrashed() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let topology = try Topology.local(nodes: 3)
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration(.directory(path)))
        let db = cluster.database(in: "local")
        for id in 0..<100 { try await db.write { try await $0.insert(Item(id: id, text: "x"), into: Self.items) } }
        for node in topology.nodes { await cluster.kill(node.id) }
        for node in topology.nodes { try await cluster.start(node.id) }
        let rows = try await db.read(deadline: .seconds(20)) { try await $0.scan(Self.items) }
        #expect(rows.map(\.id) == Array(0..<100))
        await cluster.shutdown()
    }

    /// The leaseholder's files vanish. It comes back under its name, and when another node dies afterwards, the two
    /// that are left have everything.
    @Test func aNodeThatLostItsFilesIsReplacedAndNothingIsLost() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let topology = try Topology.local(nodes: 3)
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration(.directory(path)))
        let db = cluster.database(in: "local")
        for id in 0..<40 { try await db.write { try await $0.insert(Item(id: id, text: "x"), into: Self.items) } }
        let victim = try #require(try await cluster.leaseholder(of: Self.items))
        await cluster.kill(victim)
        let name = try #require(topology.node(victim)?.name)
        let all = try FileManager.default.subpathsOfDirectory(atPath: path)
        let files = all.filter { $0.contains(name) && $0.hasSuffix(".sqlite") }
        #expect(files.count == 2)
        for file in files { try FileManager.default.removeItem(atPath: path + "/" + file) }
        let error = await #expect(throws: MeridianError.self) { try await cluster.start(victim) }
        #expect(error?.code == .corruption)
        try await cluster.replace(victim)
        for id in 40..<80 {
            try await db.write(deadline: .seconds(20)) {
                try await $0.insert(Item(id: id, text: "x"), into: Self.items)
            }
        }
        let other = try #require(topology.nodes.first { $0.id != victim })
        await cluster.kill(other.id)
        let rows = try await db.read(deadline: .seconds(20)) { try await $0.scan(Self.items) }
        #expect(rows.map(\.id) == Array(0..<80))
        try await db.write(deadline: .seconds(20)) { try await $0.insert(Item(id: 80, text: "x"), into: Self.items) }
        await cluster.shutdown()
    }

    @Test(arguments: [false, true]) func aNodeThatRunsIsNotReplaced(inFiles: Bool) async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let topology = try Topology.local(nodes: 3)
        let node = topology.nodes[0]
        let cluster = try await EmbeddedCluster(
            topology: topology, configuration: inFiles ? configuration(.directory(path)) : configuration())
        let error = await #expect(throws: MeridianError.self) { try await cluster.replace(node.id) }
        #expect(error?.code == .directoryInUse)
        if inFiles {
            // Not from outside of the process, either: the note would throw the files away at the next start.
            let note = "\(path)/\(node.name).files"
            let before = try String(contentsOfFile: note, encoding: .utf8)
            let error = #expect(throws: MeridianError.self) {
                try EmbeddedCluster.replace(node.id, in: path, topology: topology)
            }
            #expect(error?.code == .directoryInUse)
            #expect(try String(contentsOfFile: note, encoding: .utf8) == before)
        }
        await cluster.shutdown()
    }

    /// A node's folder vanishes together with the note beside it: it must not start as if it were new, forget its vote
    /// and its entries, and be counted.
    @Test func aNodeThatVanishedDoesNotStartAsNew() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let topology = try Topology.local(nodes: 3)
        let node = topology.nodes[1]
        let first = try await EmbeddedCluster(topology: topology, configuration: configuration(.directory(path)))
        let db = first.database(in: "local")
        try await db.write { try await $0.insert(Item(id: 1, text: "x"), into: Self.items) }
        await first.shutdown()
        for name in [node.name, node.name + ".files"] {
            try FileManager.default.removeItem(atPath: path + "/" + name)
        }
        await #expect {
            _ = try await EmbeddedCluster(topology: topology, configuration: configuration(.directory(path)))
        } throws: { ($0 as? MeridianError)?.code == .corruption }
        try EmbeddedCluster.replace(node.id, in: path, topology: topology)
        let second = try await EmbeddedCluster(topology: topology, configuration: configuration(.directory(path)))
        let rows = try await second.database(in: "local").read { try await $0.scan(Self.items) }
        #expect(rows.map(\.id) == [1])
        await second.shutdown()
    }

    @Test func aRelativePathIsMadeAbsolute() async throws {
        let name = "meridian-relative-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: name) }
        let cluster = try await EmbeddedCluster(
            topology: .local(nodes: 1), configuration: configuration(.directory(name)))
        #expect(cluster.directory == FileManager.default.currentDirectoryPath + "/" + name)
        await cluster.shutdown()
    }

    @Test func onlyADirectoryWithAClusterCanHaveANodeReplaced() throws {
        let path = directory()
        let topology = try Topology.local(nodes: 1)
        let error = #expect(throws: MeridianError.self) {
            try EmbeddedCluster.replace(topology.nodes[0].id, in: path, topology: topology)
        }
        #expect(error?.code == .storageFailed)
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func noAcknowledgedWriteIsLostWhenTheLeaseholderDies() async throws {
        let topology = try Topology.local(nodes: 3)
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration())
        let db = cluster.database(in: "local")
        try await db.create(Self.items)
        var acknowledged: [Int] = []
        for id in 0..<60 {
            if id % 20 == 10, let leader = try await cluster.leaseholder(of: Self.items) {
                await cluster.kill(leader)
                try await db.write(deadline: .seconds(20)) {
                    try await $0.insert(Item(id: id, text: "during"), into: Self.items)
                }
                try await cluster.start(leader)
            } else {
                try await db.write { try await $0.insert(Item(id: id, text: "calm"), into: Self.items) }
            }
            acknowledged.append(id)
        }
        let rows = try await db.read { try await $0.scan(Self.items) }
        #expect(rows.map(\.id) == acknowledged)
        await cluster.shutdown()
    }

    @Test func withoutAQuorumAWriteEndsAtItsDeadlineAndSaysWhatMayHaveHappened() async throws {
        let topology = try Topology.local(nodes: 3)
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration())
        let db = cluster.database(in: "local")
        try await db.write { try await $0.insert(Item(id: 1, text: "x"), into: Self.items) }
        let leader = try #require(try await cluster.leaseholder(of: Self.items))
        for node in topology.nodes where node.id != leader { await cluster.kill(node.id) }
        let start = ContinuousClock.now
        do {
            try await db.write(deadline: .seconds(2)) { try await $0.insert(Item(id: 2, text: "y"), into: Self.items) }
            Issue.record("a commit without a quorum")
        } catch let error as MeridianError {
            #expect(error.code == .commitStatusUnknown || error.code == .deadlineExceeded)
            if error.code == .commitStatusUnknown { #expect(error.commitOutcome == .unknown) }
            #expect(!error.message.contains("y"))
        }
        #expect(ContinuousClock.now - start < .seconds(4))
        await cluster.shutdown()
    }

    @Test func aFollowerThatMissedMuchCatchesUp() async throws {
        let topology = try Topology.local(nodes: 3)
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration())
        let db = cluster.database(in: "local")
        try await db.create(Self.items)
        let leader = try #require(try await cluster.leaseholder(of: Self.items))
        let follower = try #require(topology.nodes.map(\.id).first { $0 != leader })
        await cluster.kill(follower)
        for base in stride(from: 0, to: 6000, by: 100) {
            try await db.write { tx in
                for id in base..<(base + 100) {
                    try await tx.insert(Item(id: id, text: "a longer text for row \(id)"), into: Self.items)
                }
            }
        }
        try await cluster.start(follower)
        // The follower is needed for a quorum once the other one is gone.
        let other = try #require(topology.nodes.map(\.id).first { $0 != leader && $0 != follower })
        await cluster.kill(other)
        try await db.write(deadline: .seconds(20)) {
            try await $0.insert(Item(id: 100_000, text: "last"), into: Self.items)
        }
        let rows = try await db.read { try await $0.scan(Self.items) }
        #expect(rows.count == 6001)
        await cluster.shutdown()
    }

    @Test func aDirectoryOfAnotherClusterIsRefused() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try await EmbeddedCluster(
            topology: .local(nodes: 3), configuration: configuration(.directory(path)))
        await first.shutdown()
        await #expect {
            _ = try await EmbeddedCluster(
                topology: try .local(nodes: 5), configuration: configuration(.directory(path)))
        } throws: { ($0 as? MeridianError)?.code == .wrongCluster }
    }

    @Test func aDirectoryIsUsedByOneClusterAtATime() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try await EmbeddedCluster(
            topology: .local(nodes: 1), configuration: configuration(.directory(path)))
        await #expect {
            _ = try await EmbeddedCluster(
                topology: .local(nodes: 1), configuration: configuration(.directory(path)))
        } throws: { ($0 as? MeridianError)?.code == .directoryInUse }
        await first.shutdown()
    }

    @Test func aFileThatIsNoDatabaseIsNamed() async throws {
        let path = directory()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try await EmbeddedCluster(
            topology: .local(nodes: 1), configuration: configuration(.directory(path)))
        let name = first.topology.nodes[0].name
        await first.shutdown()
        try Data(repeating: 7, count: 9000).write(to: URL(fileURLWithPath: "\(path)/\(name)/state.sqlite"))
        await #expect {
            _ = try await EmbeddedCluster(
                topology: .local(nodes: 1), configuration: configuration(.directory(path)))
        } throws: { error in
            let error = error as? MeridianError
            return error?.code == .notADatabase && error?.message.contains("state.sqlite") == true
        }
    }
}
