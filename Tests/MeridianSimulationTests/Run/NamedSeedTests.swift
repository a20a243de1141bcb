import MeridianCore
import Testing

@testable import MeridianSimulation

/// Bugs that the simulator has found, each with the run that found it. They stay, so that none comes back.
@Suite struct NamedSeedTests {
    /// A node took a commit's first attempt with it when its region was lost, and no node was left to ask again: the
    /// client was told that nothing had been committed (`Database.call`).
    @Test func aCommitThatALostRegionTookWithItIsUnknown() throws {
        try Self.run(seed: 1, "registers", episodes: [2])
    }

    private static func run(seed: UInt64, _ workload: String, episodes: Set<Int>) throws {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        var simulation = Simulation(seed: seed, workload: workload, topology: topology)
        simulation.episodes = episodes
        #expect(try simulation.run().violation == nil)
    }
}
