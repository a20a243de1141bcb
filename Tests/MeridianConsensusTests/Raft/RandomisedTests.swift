import Foundation
import MeridianConsensus
import MeridianCore
import Testing

/// Some hundreds of hostile histories; see `SimulatedCluster` and `Invariants`.
///
/// `MERIDIAN_SEEDS` says how many seeds each part runs (6 by default; some hundreds make a good night).
/// A failure names its seed; `SimulatedCluster(seed:options:)` with it repeats the run exactly.
@Suite struct RandomisedTests {
    private static let seedsPerPart = UInt64(ProcessInfo.processInfo.environment["MERIDIAN_SEEDS"] ?? "") ?? 6

    private func run(_ part: UInt64, _ options: SimulatedCluster.Options) {
        let seeds = part * 1_000_000..<part * 1_000_000 + Self.seedsPerPart
        var leaseMoments = 0
        var reads = 0
        for seed in seeds {
            var cluster = SimulatedCluster(seed: seed, options: options)
            cluster.run(milliseconds: 1000)
            cluster.calm()
            cluster.run(milliseconds: 1200)
            let before = cluster.committedOutcomes
            cluster.run(milliseconds: 300)
            #expect(cluster.invariants.violations.isEmpty, "seed \(seed): \(cluster.invariants.violations)")
            #expect(cluster.leader != nil, "seed \(seed): no leader after the faults ended\n\(cluster.summary)")
            #expect(cluster.committedOutcomes > before, "seed \(seed): nothing commits after the faults ended")
            leaseMoments += cluster.invariants.leaseMoments
            reads += cluster.invariants.confirmedReads
        }
        #expect(leaseMoments > 0 && reads > 0, "no lease was held or no read confirmed: the test tests nothing")
    }

    @Test(arguments: 0..<8) func changingMembers(part: UInt64) {
        run(part, SimulatedCluster.Options())
    }

    @Test(arguments: 0..<4) func fixedMembers(part: UInt64) {
        run(100 + part, SimulatedCluster.Options(nodes: 3, changesMembers: false))
    }

    @Test(arguments: 0..<2) func regionDiverseQuorums(part: UInt64) {
        let options = SimulatedCluster.Options(rule: .regionDiverse(minimumRegions: 2))
        run(200 + part, options)
    }

    @Test(arguments: 0..<2) func quiescence(part: UInt64) {
        let options = SimulatedCluster.Options(nodes: 3, changesMembers: false, quiesceAfterNanoseconds: 4_000_000)
        run(300 + part, options)
    }

    @Test func aSeedRepeatsExactly() {
        var first = SimulatedCluster(seed: 7)
        var second = SimulatedCluster(seed: 7)
        first.run(milliseconds: 1200)
        second.run(milliseconds: 1200)
        #expect(first.events == second.events)
        #expect(first.invariants.committed == second.invariants.committed)
    }
}
