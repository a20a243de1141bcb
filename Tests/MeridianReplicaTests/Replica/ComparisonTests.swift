import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianStorage
import Testing

@testable import MeridianReplica

/// Replicas watch each other: one that holds other rows than a quorum leaves service and is rebuilt.
@Suite struct ComparisonTests {
    private static let second: Int64 = 1_000_000_000

    private func serving(nodes: Int = 3) throws -> (World, Clients, leader: Int) {
        var settings = World.Settings()
        settings.nodes = nodes
        settings.retentionNanoseconds = 4 * Self.second
        let world = try World(seed: 1, settings)
        let clients = Clients(world)
        try write(world, clients)
        return (world, clients, try #require(world.leader))
    }

    private func write(_ world: World, _ clients: Clients, key: Int = 0) throws {
        let number = clients.start(.write, World.key(key))
        try #require(world.run(milliseconds: 5000, until: { clients.operations[number].outcome != nil }))
    }

    private func rows(_ world: World, _ position: Int) throws -> [KeyedVersion] {
        try world.nodes[position].state.makeReader().rows(of: World.span, at: .distantFuture)
    }

    /// Lets nodes apply another value where something is written under a key.
    private func mangle(_ world: World, _ positions: [Int], key: Int) {
        world.mangle = { position, batch in
            guard positions.contains(position) else { return batch }
            var batch = batch
            for place in batch.commands.indices {
                for mutation in batch.commands[place].command.mutations.indices
                where batch.commands[place].command.mutations[mutation].key == World.key(key) {
                    batch.commands[place].command.mutations[mutation].value = [UInt8(position), 0xBA, 0xD0]
                }
            }
            return batch
        }
    }

    private func isRebuilt(_ world: World, _ position: Int, like other: Int) throws -> Bool {
        guard let replica = world.replica(position), !replica.raft.isRecovering,
            let peer = world.replica(other), replica.appliedIndex == peer.appliedIndex
        else { return false }
        return try rows(world, position) == rows(world, other)
    }

    @Test func equalReplicasFindNothing() throws {
        let (world, clients, leader) = try serving()
        for key in 0..<40 {
            try write(world, clients, key: key % 4)
            world.run(milliseconds: 200)
        }
        #expect(world.divergences.isEmpty)
        let comparison = try #require(world.replica(leader)?.comparison)
        #expect(comparison.reports.count == 3)
        #expect(Set(comparison.reports.values.map(\.digest)).count == 1)
    }

    @Test func whatIsNotWrittenIsNotCompared() throws {
        let (world, _, leader) = try serving()
        world.run(milliseconds: 6_000)
        let before = try #require(world.replica(leader)).lastComparison
        world.run(milliseconds: 20_000)
        #expect(world.replica(leader)?.lastComparison == before)
    }

    /// A follower and a leader that apply wrongly: found within three intervals, rebuilt, nothing acknowledged is lost.
    @Test(arguments: [true, false]) func aReplicaThatAppliesWronglyIsRebuilt(_ isLeader: Bool) throws {
        let (world, clients, leader) = try serving()
        let bad = isLeader ? leader : try #require(world.nodes.indices.first { $0 != leader })
        let life = try #require(world.replica(bad)).raft.incarnation
        mangle(world, [bad], key: 3)
        try write(world, clients, key: 3)
        // Until the followers have applied it.
        world.run(milliseconds: 200)
        world.mangle = { $1 }
        let isFound = world.run(milliseconds: 3_000, until: { !world.divergences.isEmpty })
        try #require(isFound)
        let found = world.divergences[0]
        #expect(found.node == world.nodes[bad].id && found.isRebuilt)
        #expect(found.agreeing == world.nodes.map(\.id).filter { $0 != found.node })
        let other = try #require(world.nodes.indices.first { $0 != bad })
        for key in 0..<3 { try write(world, clients, key: key) }
        #expect(world.run(milliseconds: 20_000, until: { (try? isRebuilt(world, bad, like: other)) == true }))
        #expect(try #require(world.replica(bad)).raft.incarnation != life)
        #expect(world.divergences.count == 1)
        world.run(milliseconds: 3_000)
        #expect(Verdict(world, clients).failures.isEmpty)
        #expect(try #require(world.leader) >= 0)
    }

    /// Bits that flip in what was applied long ago: the store finds them when it looks through its rows.
    @Test(arguments: [true, false], SilentDamage.allCases) func damagedRowsAreFoundAndRebuilt(
        _ isLeader: Bool, _ damage: SilentDamage
    ) throws {
        let (world, clients, leader) = try serving()
        for key in 0..<4 { try write(world, clients, key: key) }
        world.run(milliseconds: 3_000)
        let bad = isLeader ? leader : try #require(world.nodes.indices.first { $0 != leader })
        #expect(world.nodes[bad].state.inspect(World.data, in: World.span, limit: 1000).isSound)
        #expect(world.nodes[bad].state.damage(World.span, damage, choice: 2))
        #expect(!world.nodes[bad].state.inspect(World.data, in: World.span, limit: 1000).isSound)
        world.step(bad, [.damaged(World.data)])
        try #require(world.run(milliseconds: 1_000, until: { !world.divergences.isEmpty }))
        #expect(world.divergences[0].node == world.nodes[bad].id && world.divergences[0].isRebuilt)
        let other = try #require(world.nodes.indices.first { $0 != bad })
        #expect(world.run(milliseconds: 20_000, until: { (try? isRebuilt(world, bad, like: other)) == true }))
        #expect(world.nodes[bad].state.inspect(World.data, in: World.span, limit: 1000).isSound)
        #expect(Verdict(world, clients).failures.isEmpty)
    }

    /// Without a quorum that agrees nobody knows who is right: an operator hears of it, and nothing is thrown away.
    @Test func withoutAQuorumItIsReportedOnly() throws {
        let (world, clients, leader) = try serving()
        let others = world.nodes.indices.filter { $0 != leader }
        mangle(world, others, key: 3)
        try write(world, clients, key: 3)
        // Until the followers have applied it.
        world.run(milliseconds: 200)
        world.mangle = { $1 }
        try #require(world.run(milliseconds: 3_000, until: { world.divergences.count >= 3 }))
        #expect(Set(world.divergences.map(\.node)) == Set(world.nodes.map(\.id)))
        #expect(world.divergences.allSatisfy { !$0.isRebuilt && $0.agreeing.isEmpty })
        world.run(milliseconds: 3_000)
        for position in world.nodes.indices {
            #expect(try #require(world.replica(position)).raft.isRecovering == false)
            #expect(try rows(world, position).contains { $0.key == World.key(3) })
        }
    }

    /// It stays out of service over a restart, at whatever moment that comes.
    @Test(arguments: 0..<12) func aCrashAmidTheDepartureBringsNothingBack(_ steps: Int) throws {
        let (world, clients, leader) = try serving()
        let bad = try #require(world.nodes.indices.first { $0 != leader })
        mangle(world, [bad], key: 3)
        try write(world, clients, key: 3)
        world.run(milliseconds: 200)
        world.checkpoint(bad)
        world.mangle = { $1 }
        try #require(world.run(milliseconds: 3_000, until: { world.nodes[bad].core?.departures[World.data] != nil }))
        world.run(milliseconds: 60_000, until: { [start = world.now] in world.now - start >= Int64(steps) * 40_000 })
        world.crash(bad)
        world.run(milliseconds: 50)
        world.start(bad)
        if let replica = world.replica(bad), replica.appliedIndex > .zero, !replica.raft.isRecovering {
            // The crash came before anything was durable: it is as it was, and will be found again.
            #expect(steps < 8)
        }
        try write(world, clients, key: 1)
        #expect(
            world.run(
                milliseconds: 30_000,
                until: {
                    let rows = try? rows(world, bad)
                    return (try? isRebuilt(world, bad, like: leader)) == true
                        && rows?.contains { $0.version.value == [UInt8(bad), 0xBA, 0xD0] } == false
                }))
        #expect(Verdict(world, clients).failures.isEmpty)
    }

    /// A report of a replica that has not collected all it may says nothing.
    @Test func whoHasNotCollectedIsNotJudged() throws {
        let (world, clients, leader) = try serving()
        world.collects = { $0 == leader }
        for _ in 0..<30 {
            try write(world, clients)
            world.run(milliseconds: 300)
        }
        let comparison = try #require(world.replica(leader)?.comparison)
        #expect(comparison.reports.values.filter(\.isComplete).count == 1)
        #expect(Set(comparison.reports.values.map(\.digest)).count > 1)
        #expect(world.divergences.isEmpty)
    }
}
