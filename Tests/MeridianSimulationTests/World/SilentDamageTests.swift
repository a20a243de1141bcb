import Meridian
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianStorage
import Testing

@testable import MeridianSimulation

private struct Item: Codable, Sendable, Equatable {
    var id: Int
    var value: Int
}

private let items = Table<Item>("items", key: \.id, locality: .regional(in: "eu-west-1"))

/// A row that changes behind everybody's back, in memory or on a disk: the replicas find it by their digests, the one
/// that differs leaves service, and its rows come from a peer.
@Suite(.timeLimit(.minutes(5))) struct SilentDamageTests {
    /// A world looks through a piece of one range's rows every 5 s; this many ranges of few rows have had their turn.
    private static let limit = Duration.seconds(60)

    private struct Case: Sendable, CustomTestStringConvertible {
        var storage: SimulatedStorage
        var damage: SilentDamage
        var isLeader: Bool
        /// Nothing is written any more.
        var isIdle: Bool
        var testDescription: String { "\(storage), \(damage), leader \(isLeader), idle \(isIdle)" }
    }

    private static let cases: [Case] = SimulatedStorage.allCases.flatMap { storage in
        SilentDamage.allCases.flatMap { damage in
            [(true, false), (false, false), (false, true)].map {
                Case(storage: storage, damage: damage, isLeader: $0.0, isIdle: $0.1)
            }
        }
    }

    @Test(arguments: cases) private func aDamagedReplicaIsFoundAndRebuilt(_ test: Case) throws {
        var options = SimulatedWorld.Options()
        options.storage = test.storage
        let world = try SimulatedWorld(
            seed: 5, topology: .aws(["eu-west-1"], nodesPerRegion: 3), options: options)
        try world.run { world in
            let database = world.database(in: "eu-west-1")
            for id in 0..<20 { try await database.write { try await $0.insert(Item(id: id, value: 0), into: items) } }
            await world.sleep(for: .seconds(4))
            let (leader, range) = try #require(world.leaseholder())
            let node = test.isLeader ? leader : try #require(world.engine.nodes.first { $0 !== leader })
            let life = try #require(node.replica(of: range)).raft.incarnation
            #expect(world.engine.damage(range, at: node, test.damage))
            let begun = world.now
            var written = 0
            while world.engine.divergences.isEmpty, world.now - begun < Self.limit {
                if !test.isIdle {
                    // Other rows than those that were there: a damaged one may be answered wrongly until it is found.
                    written += 1
                    try await database.write { [written] in
                        try await $0.insert(Item(id: 1_000 + written, value: 1), into: items)
                    }
                }
                await world.sleep(for: .milliseconds(500))
            }
            let found = try #require(world.engine.divergences.first)
            #expect(found.node == node.id && found.range == range && found.isRebuilt)
            #expect(found.agreeing == world.engine.nodes.map(\.id).filter { $0 != node.id })

            await world.sleep(for: .seconds(10))
            let rebuilt = try #require(node.replica(of: range)).raft
            #expect(rebuilt.incarnation != life && !rebuilt.isRecovering)
            let rows = try await database.read { try await $0.scan(items) }
            #expect(rows.map(\.id) == Array(0..<20) + (0..<written).map { 1_001 + $0 })
            #expect(rows.allSatisfy { $0.value == ($0.id < 1_000 ? 0 : 1) })
            // It votes and serves again: the others alone are no majority.
            let other = try #require(world.engine.nodes.first { $0 !== node && $0 !== world.leaseholder()?.0 })
            world.crash(other.id)
            try await database.write { try await $0.insert(Item(id: 5_000, value: 1), into: items) }
            world.start(other.id)
            await world.sleep(for: .seconds(70))
            #expect(world.engine.divergences.count == 1)
            world.invariants.compare()
            #expect(world.invariants.violation == nil)
        }
    }
}

extension SimulatedNode {
    fileprivate func replica(of range: RangeID) -> Replica? {
        guard let core, let slot = core.slot(of: range) else { return nil }
        return core.replicas[slot]
    }
}

extension SimulatedWorld {
    /// Who serves the items under a lease.
    fileprivate func leaseholder() -> (SimulatedNode, RangeID)? {
        for node in engine.nodes {
            for replica in node.core?.replicas ?? [] where replica.descriptor.id != Catalog.systemRange {
                if replica.raft.leaseExpiration != nil { return (node, replica.descriptor.id) }
            }
        }
        return nil
    }
}
