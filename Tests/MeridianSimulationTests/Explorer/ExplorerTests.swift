import Testing

@testable import MeridianSimulation

/// The explorer itself, on a world whose states can be counted by hand, and each small world within its smallest bound.
@Suite struct ExplorerTests {
    /// Two counters that are raised one by one up to a limit; they must not stand at a forbidden pair.
    private struct Counters: ExplorableWorld {
        enum Choice: String, CustomStringConvertible {
            case first, second
            var description: String { rawValue }
        }

        let limit: Int
        let forbidden: [Int]
        var values = [0, 0]

        func choices() -> [Choice] {
            (values[0] < limit ? [.first] : []) + (values[1] < limit ? [.second] : [])
        }

        mutating func take(_ choice: Choice) -> String? {
            values[choice == .first ? 0 : 1] += 1
            return values == forbidden ? "forbidden" : nil
        }

        func fingerprint(into hasher: inout Hasher) { hasher.combine(values) }
    }

    @Test(arguments: [0, 1, 1_000]) func everyStateIsMetOnceHoweverFewAreKeptWhole(held: Int) {
        var explorer = Explorer(Counters(limit: 9, forbidden: [-1, -1]), limits: .init(heldWorlds: held))
        let report = explorer.run()
        #expect(report.isComplete && report.violation == nil)
        #expect(report.states == 100)
        // From each state below the limit one way up in each direction.
        #expect(report.transitions == 2 * 9 * 10)
        #expect(report.depth == 18)
    }

    @Test func aViolationComesWithAShortestTrace() {
        var explorer = Explorer(Counters(limit: 9, forbidden: [3, 2]), limits: .init(heldWorlds: 4))
        let report = explorer.run()
        #expect(report.violation == "forbidden")
        #expect(report.trace.count == 5)
        #expect(report.trace.count { $0 == "first" } == 3)
    }

    @Test func anExplorationStopsAtItsLimits() {
        var explorer = Explorer(Counters(limit: 9, forbidden: [-1, -1]), limits: .init(states: 20))
        let report = explorer.run()
        #expect(report.states == 20 && !report.isComplete)

        var stopped = Explorer(Counters(limit: 9, forbidden: [-1, -1]), limits: .init(transitions: 7))
        #expect(stopped.run().transitions == 7)
    }

    /// Thousands of states of each world; `meridian explore` goes through millions.
    @Test(arguments: SmallWorld.allCases) func noOrderOfASmallWorldBreaksARule(world: SmallWorld) {
        for part in world.parts {
            let report = part.explore(states: 1_500)
            #expect(report.violation == nil, "\(part.bound): \(report.trace)")
        }
    }
}
