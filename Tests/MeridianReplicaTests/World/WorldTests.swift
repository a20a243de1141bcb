import MeridianConsensus
import MeridianCore
import Testing

@testable import MeridianReplica

/// Clients, faults and time over many seeds. Each failure names its seed.
@Suite struct WorldTests {
    enum Trouble: String, CaseIterable {
        case none, crashes, partitions, slowDisks, snapshots, doubledFrames, fullDisks, transfers
    }

    @Test(arguments: Trouble.allCases)
    func whatClientsAreToldHolds(under trouble: Trouble) throws {
        for seed in UInt64(1)...Self.seeds { try Self.run(seed, trouble) }
    }

    static let seeds: UInt64 = 12

    static func run(_ seed: UInt64, _ trouble: Trouble) throws {
        var choice = SplitMix64(seed: seed ^ 0xABCD)
        var settings = World.Settings()
        settings.nodes = choice.below(4) == 0 ? 5 : 3
        settings.epsilonNanoseconds = [0, 1_000_000, 20_000_000, 100_000_000][Int(choice.below(4))]
        settings.delayNanoseconds = [50_000, 1_000_000, 10_000_000][Int(choice.below(3))]
        if trouble == .snapshots { settings.retainedLogEntries = 8 }
        if trouble == .doubledFrames { settings.doubledPerThousand = 100 }
        let world = try World(seed: seed, settings)
        let clients = Clients(world)
        world.run(milliseconds: 600)
        for _ in 0..<4 { clients.run(pauseNanoseconds: 10_000_000) }
        for _ in 0..<6 {
            disturb(world, trouble)
            world.run(milliseconds: 100 + world.below(300))
        }
        // Faults stop; the cluster must serve again.
        heal(world)
        clients.isOpen = false
        world.run(milliseconds: 2500)
        let last = clients.operations.count
        var isServed = false
        for _ in 0..<4 where !isServed {
            let number = clients.start(.write, World.key(9))
            world.run(milliseconds: 2000, until: { clients.operations[number].outcome != nil })
            if case .committed? = clients.operations[number].outcome { isServed = true }
        }
        #expect(isServed, "seed \(seed), \(trouble): \(clients.operations.count - last) writes refused after faults")
        let read = clients.start(.read, World.key(9))
        world.run(milliseconds: 3000, until: { clients.operations[read].outcome != nil })
        world.run(milliseconds: 500)
        let verdict = Verdict(world, clients)
        #expect(verdict.failures.isEmpty, "seed \(seed), \(trouble): \(verdict.failures.prefix(3))")
        for position in world.nodes.indices.dropFirst() where world.applied(position) == world.applied(0) {
            #expect(world.contents(position) == world.contents(0), "seed \(seed), \(trouble): rows differ")
        }
        let members = world.nodes.indices.filter { world.replica($0) != nil }
        #expect(
            Set(members.map { world.applied($0) }).count == 1,
            "seed \(seed), \(trouble): replicas stand at \(members.map { world.applied($0) })")
    }

    private static func disturb(_ world: World, _ trouble: Trouble) {
        let position = Int(world.below(Int64(world.nodes.count)))
        for other in world.nodes.indices {
            // Clocks move within their bound.
            world.nodes[other].clockOffset =
                world.below(2 * world.settings.epsilonNanoseconds + 1) - world.settings.epsilonNanoseconds
        }
        switch trouble {
        case .none, .doubledFrames: break
        case .crashes:
            world.crash(world.below(2) == 0 ? world.leader ?? position : position)
            world.after(world.below(400_000_000)) { world.start(position) }
            if world.below(3) == 0 { for other in world.nodes.indices { world.start(other) } }
        case .partitions:
            world.cut = []
            if world.below(3) > 0 { world.isolate(world.below(2) == 0 ? world.leader ?? position : position) }
            for link in world.nodes.indices.map({ World.Link(from: world.nodes[$0].id, to: world.nodes[position].id) })
            where world.below(3) == 0 {
                world.cut.insert(link)
            }
        case .slowDisks:
            for other in world.nodes.indices { world.nodes[other].diskFactor = [1, 20, 500][Int(world.below(3))] }
        case .snapshots:
            for other in world.nodes.indices where world.below(2) == 0 { world.checkpoint(other) }
            world.cut = []
            if world.below(2) == 0 { world.isolate(position) }
            if world.below(4) == 0 {
                world.crash(position)
                world.after(world.below(300_000_000)) { world.start(position) }
            }
        case .fullDisks:
            for other in world.nodes.indices { world.nodes[other].isDiskFull = world.below(3) == 0 }
        case .transfers:
            guard let leader = world.leader else { return }
            let now = world.moment(leader)
            let target = world.nodes[position].id
            world.nodes[leader].core?.with(World.data, at: now) {
                $0.raft.receive(.transferLeadership(to: target), at: now)
            }
            world.step(leader, [])
        }
    }

    private static func heal(_ world: World) {
        world.cut = []
        for position in world.nodes.indices {
            world.nodes[position].isDiskFull = false
            world.nodes[position].diskFactor = 1
            world.start(position)
        }
    }
}
