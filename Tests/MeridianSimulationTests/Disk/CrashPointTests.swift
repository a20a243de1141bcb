import Foundation
import Testing

@testable import MeridianSimulation

/// SQLite's real code loses power at its writes and syncs; at all of them with MERIDIAN_CRASH_POINTS=all.
@Suite struct CrashPointTests {
    @Test(arguments: UInt64(1)...2) func everyCrashLeavesWhatWasAcknowledged(seed: UInt64) throws {
        let isWhole = ProcessInfo.processInfo.environment["MERIDIAN_CRASH_POINTS"] == "all"
        let script = CrashScript(seed: seed, operations: isWhole ? 1_000 : 150, stride: isWhole ? 1 : 5)
        let result = try script.run()
        #expect(result.failures.isEmpty)
        #expect(result.crashPoints > 100)
    }
}
