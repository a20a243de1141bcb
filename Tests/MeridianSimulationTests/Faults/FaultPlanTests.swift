import MeridianCore
import Testing

@testable import MeridianSimulation

@Suite struct FaultPlanTests {
    private let topology: Topology

    init() throws { topology = try .aws(["us-east-1", "eu-west-1", "ap-northeast-1"]) }

    private func plan(_ seed: UInt64, _ kinds: Set<FaultKind> = FaultKind.standard) throws -> FaultPlan {
        try .draw(seed: seed, kinds: kinds, topology: topology, length: .seconds(60))
    }

    @Test func oneSeedHasOnePlan() throws {
        #expect(try plan(3) == plan(3))
        #expect(try plan(3) != plan(4))
    }

    /// Swarm testing: every kind is in some worlds and missing in others, and no two kinds always come together.
    @Test func eachSeedLeavesSomeKindsOut() throws {
        let drawn = try (1...200).map { try plan($0).kinds }
        for kind in FaultKind.standard {
            let share = drawn.count { $0.contains(kind) }
            #expect(share > 60 && share < 140, "\(kind) in \(share) of 200")
        }
        #expect(Set(drawn).count > 190)
    }

    @Test func everyKindWithAnEpisodeHappens() throws {
        let happened = Set(try (1...400).flatMap { try plan($0, Set(FaultKind.allCases)).episodes.map(\.kind) })
        #expect(happened == Set(FaultKind.allCases.filter { FaultRange.length(of: $0) != nil }))
    }

    /// So that a quorum keeps a good copy: one node is hit, and not before the last hit is repaired.
    @Test func copiesAreDestroyedOnOneNodeAtATime() throws {
        for seed in UInt64(1)...200 {
            let plan = try plan(seed)
            let hits = plan.episodes.filter(\.kind.isDestructive)
            #expect(hits.allSatisfy { $0.target == .node(plan.victim) })
            for (first, second) in zip(hits, hits.dropFirst()) {
                #expect(second.start >= first.start + first.length + .seconds(20))
            }
        }
    }

    @Test func aPlanThatLeavesNoQuorumIsRefused() throws {
        let small = try Topology(
            regions: [RegionDescriptor("us-east-1", nodes: 1), RegionDescriptor("eu-west-1", nodes: 3)], matrix: .aws)
        let error = #expect(throws: SimulationError.self) {
            try FaultPlan.draw(seed: 1, kinds: [.wipe, .crash], topology: small, length: .seconds(10))
        }
        #expect(
            error?.description.contains("plan is refused: wipe destroys a copy, and region us-east-1 has 1") == true)
        _ = try FaultPlan.draw(seed: 1, kinds: [.crash], topology: small, length: .seconds(10))
    }

    @Test func namesAreParsedAndUnknownOnesAnsweredWithTheKnown() throws {
        #expect(try FaultKind.parse("crash,pause") == [.crash, .pause])
        #expect(try FaultKind.parse("none").isEmpty)
        #expect(try FaultKind.parse("all") == Set(FaultKind.allCases))
        #expect(try FaultKind.parse("standard").isDisjoint(with: [.clockStep, .clockFreeze]))
        let error = #expect(throws: SimulationError.self) { try FaultKind.parse("crash,quake") }
        #expect(error?.description.contains("\"quake\"") == true)
        #expect(FaultKind.allCases.allSatisfy { error?.description.contains($0.rawValue) == true })
    }

    @Test func anEpisodeKeepsItsNumberWhenOthersAreLeftOut() throws {
        let plan = try plan(5)
        let some = Set(plan.episodes.map(\.number).filter { $0 % 2 == 0 })
        #expect(plan.keeping(some).episodes == plan.episodes.filter { some.contains($0.number) })
        #expect(plan.keeping([]).weather == plan.weather)
    }
}
