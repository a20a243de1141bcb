import Meridian
import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import Testing

@testable import MeridianSimulation

private struct Account: Codable, Sendable {
    var id: String
    var balance: Int
}

private let accounts = Table<Account>("accounts", key: \.id, locality: .regional(in: "eu-west-1"), survival: .region)

/// A clock that leaves its own bound: found within two polls, its node's leases are gone, and the cluster serves on.
@Suite struct LyingClockTests {
    enum Lie: String, CaseIterable, Sendable {
        case fast, slow, frozen

        var fault: SimulatedClockFault {
            switch self {
            // Less than the maximum delay of an unmeasured message, which would hide it.
            case .fast: .lie(byNanoseconds: 600_000_000)
            case .slow: .lie(byNanoseconds: -600_000_000)
            case .frozen: .freeze
            }
        }
    }

    @Test(arguments: Lie.allCases) func aLeaseholderWithABadClockServesThroughTheQuorum(lie: Lie) throws {
        let regions: [Region] = ["us-east-1", "eu-west-1", "eu-central-1"]
        var options = SimulatedWorld.Options()
        options.clocksMayLie = true
        let world = try SimulatedWorld(seed: 11, topology: .aws(regions, nodesPerRegion: 3), options: options)
        try world.run { world in
            let database = world.database(in: "eu-west-1")
            try await database.write { try await $0.insert(Account(id: "alice", balance: 0), into: accounts) }
            await world.sleep(for: .seconds(3))
            let (leader, range) = try #require(world.leaseholder())
            #expect(leader.core?.isClockTrusted == true)

            leader.inject(lie.fault, at: world.engine.trueTime)
            // A frozen clock becomes a lie when time has passed its bound, which is up to 7 ms, and a round trip.
            await world.sleep(for: .milliseconds(lie == .frozen ? 1_500 : 1_200))
            #expect(leader.core?.isClockTrusted == false)
            #expect(leader.lease(of: range) == nil)
            let others = world.engine.nodes.filter { $0 !== leader }
            #expect(others.allSatisfy { $0.core?.isClockTrusted == true })

            for _ in 1...5 {
                try await database.write { transaction in
                    var account = try await transaction.get("alice", from: accounts)!
                    account.balance += 1
                    try await transaction.update(account, in: accounts)
                }
            }
            let far = world.database(in: "us-east-1")
            let balance = try await far.read { try await $0.get("alice", from: accounts)?.balance }
            #expect(balance == 5)
            #expect(leader.core?.isClockTrusted == false, "what the others say must not restore it")

            leader.healClock()
            await world.sleep(for: .seconds(3))
            #expect(leader.core?.isClockTrusted == true)
            try await database.write { try await $0.insert(Account(id: "bob", balance: 0), into: accounts) }
            await world.sleep(for: .seconds(1))
            _ = try await database.read { try await $0.get("bob", from: accounts) }
            #expect(world.leaseholder() != nil)
        }
    }
}

extension SimulatedWorld {
    /// Who serves the accounts under a lease.
    fileprivate func leaseholder() -> (SimulatedNode, RangeID)? {
        for node in engine.nodes {
            for replica in node.core?.replicas ?? [] where replica.descriptor.id != Catalog.systemRange {
                if replica.raft.leaseExpiration != nil { return (node, replica.descriptor.id) }
            }
        }
        return nil
    }
}

extension SimulatedNode {
    fileprivate func lease(of range: RangeID) -> Timestamp? {
        guard let core, let slot = core.slot(of: range) else { return nil }
        return core.replicas[slot].raft.leaseExpiration
    }
}
