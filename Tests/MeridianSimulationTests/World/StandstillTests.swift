import MeridianCore
import MeridianPlacement
import MeridianReplica
import Testing

@testable import Meridian
@testable import MeridianSimulation

private struct Item: Codable, Hashable, Sendable {
    var id: Int
}

private let items = Table<Item>(
    "items", key: \.id, locality: .regional(in: "eu-west-1"), mode: .semiSynchronous(remoteRegions: 1),
    failover: .automatic)

/// Keepers that stand still together, and wake one after the other.
@Suite struct StandstillTests {
    @Test(arguments: 1...6 as ClosedRange<UInt64>) func keepersThatStoodStillFailNothingOver(seed: UInt64) throws {
        let world = try SimulatedWorld(seed: seed, topology: .aws(["us-east-1", "eu-west-1", "eu-central-1"]))
        try world.run { world in
            world.startKeepers()
            let database = world.database(in: "us-east-1")
            try await database.write { try await $0.insert(Item(id: 0), into: items) }
            for round in 1...3 {
                await world.sleep(for: .seconds(4))
                world.standStill(for: .seconds(2 * round + 1))
                await world.sleep(for: .seconds(4))
                try await database.write { try await $0.insert(Item(id: round), into: items) }
                let end = database.host.deadline(after: .seconds(5))
                let record = try await database.record("items", end: end)
                #expect(record.ranges[0].home == "eu-west-1" && record.ranges[0].fence == nil)
            }
        }
    }
}
