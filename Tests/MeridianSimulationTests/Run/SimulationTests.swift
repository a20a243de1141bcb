import MeridianCheckers
import MeridianCore
import Testing

@testable import MeridianSimulation

/// Whole runs: every workload, a repeat that is equal to the last event, refusals, and failures made smaller.
/// The long suite of seeds is `scripts/simulate`, in an optimised build.
@Suite(.serialized) struct SimulationTests {
    private func simulation(
        _ seed: UInt64, _ workload: String, _ faults: Set<FaultKind> = FaultKind.standard
    ) throws -> Simulation {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        return Simulation(seed: seed, workload: workload, topology: topology, faults: faults)
    }

    @Test(arguments: Workloads.names) func everyWorkloadKeepsItsPromises(name: String) throws {
        for seed in UInt64(11)...12 {
            let report = try simulation(seed, name).run()
            #expect(report.violation == nil)
            // Over several regions a commit takes longer, and any fault of any region is in its way.
            #expect(report.okCount > (name.hasSuffix("-wide") || name == "modes" ? 8 : 20))
            #expect(report.recovery != nil)
        }
    }

    @Test func aSeedGivesTheSameRunAgainAndAnotherSeedAnother() throws {
        let first = try simulation(21, "append").run()
        let second = try simulation(21, "append").run()
        #expect(first.eventHash == second.eventHash)
        #expect(first.eventCount == second.eventCount)
        #expect(first.history == second.history)
        #expect(try simulation(22, "append").run().eventHash != first.eventHash)
    }

    @Test func aLongRunBeginsANewSetEveryMinuteAndLosesNoneOfTheHistory() throws {
        var long = try simulation(12, "set")
        long.length = .seconds(70)
        let report = try long.run()
        #expect(report.violation == nil)
        #expect(report.histories.count == 2)
        #expect(report.histories.reduce(0) { $0 + $1.count } == report.history.count)
        let values = report.histories.map { events in
            Set(events.compactMap { if case .add(let element) = $0.value { element } else { nil } })
        }
        #expect(values.allSatisfy { !$0.isEmpty } && values[0].isDisjoint(with: values[1]))
        // The last reads go through both.
        for events in report.histories {
            let last = try #require(events.last { $0.phase == .ok && $0.time > 70_000_000_000 })
            guard case .elements(let found?) = last.value else { continue }
            #expect(!found.isEmpty)
        }
    }

    @Test func aTraceChangesNothing() throws {
        var lines = 0
        let watched = try simulation(23, "bank").run { _ in lines += 1 }
        #expect(try simulation(23, "bank").run().eventHash == watched.eventHash)
        #expect(lines > 1000)
    }

    /// Clocks that lie take real-time order with them, and nothing else.
    @Test func lyingClocksLeaveHistoriesSerializable() throws {
        for seed in UInt64(31)...34 {
            let report = try simulation(seed, "append", [.clockStep, .clockFreeze, .crash]).run()
            #expect(report.violation == nil)
        }
    }

    @Test func anUnknownWorkloadIsAnsweredWithTheKnown() throws {
        let error = #expect(throws: SimulationError.self) { try simulation(1, "teller").run() }
        #expect(error?.description.contains("\"teller\"") == true)
        #expect(Workloads.names.allSatisfy { error?.description.contains($0) == true })
    }

    /// With no time at all to recover in, a run fails under faults and without.
    @Test func aFailureThatNeedsNoFaultIsMadeSmallToNothing() throws {
        var failing = try simulation(42, "register")
        failing.livenessLimit = .milliseconds(1)
        let plan = try failing.plan()
        try #require(plan.episodes.count > 2)
        let violation = try #require(try failing.run().violation)
        #expect(violation.rule == "liveness")
        let small = try Minimiser(failing, rule: violation.rule).run()
        #expect(small.episodes.isEmpty)
        #expect(small.attempts <= 60)
    }
}
