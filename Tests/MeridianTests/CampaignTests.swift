import Foundation
import Testing

@testable import meridian_cli

/// What a campaign does with runs that fail, trap and hang: each is counted, named and grouped, and the rest goes on.
@Suite struct CampaignTests {
    /// A worker in a few lines of shell: seed 3 ends its process, seed 5 never ends, seed 7 breaks a rule.
    private static let script = """
        while read -r job; do
            seed=${job#*\\"seed\\":}
            seed=${seed%%[,\\}]*}
            case $seed in
            3) echo "Fatal error: seed $seed traps" >&2; kill -SEGV $$ ;;
            5) exec sleep 1000 ;;
            7) rule='"rule":"liveness","detail":"late",' ;;
            *) rule='' ;;
            esac
            counts='"operations":2,"unknown":1,"faults":{"crash":2},"steps":4,"virtualSeconds":20'
            echo "{\\"seed\\":$seed,$rule$counts}"
        done
        """

    private static let worker = WorkerPool.Command(
        executable: URL(fileURLWithPath: "/bin/sh"), arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"])

    private func outcomes(_ seeds: [UInt64], workers: Int) throws -> [UInt64: SeedOutcome] {
        var left = seeds[...]
        var found: [UInt64: SeedOutcome] = [:]
        let pool = WorkerPool(Self.worker, workerCount: workers, patienceSeconds: 2)
        try pool.run {
            left.popFirst().map { SeedJob(seed: $0, workload: "append") }
        } done: { job, outcome in
            #expect(found.updateValue(outcome, forKey: job.seed) == nil, "seed \(job.seed) ended twice")
        }
        return found
    }

    @Test(arguments: [1, 2, 3]) func aRunThatTrapsOrHangsIsCountedUnderItsSeedAndTheRestGoesOn(workers: Int) throws {
        let found = try outcomes(Array(1...9), workers: workers)
        #expect(found.keys.sorted() == Array(1...9))
        #expect(found.filter { $0.value.rule != nil }.keys.sorted() == [3, 5, 7])
        guard case .crashed(let words) = found[3] else { Issue.record("\(found)"); return }
        #expect(words.contains("signal 11") && words.contains("seed 3 traps"), "\(words)")
        #expect(found[5] == .hung(seconds: 2))
        #expect(found[7]?.rule == "liveness")
    }

    private func result(_ seed: UInt64, rule: String? = nil) -> SeedOutcome {
        .finished(SeedResult(seed: seed, rule: rule, detail: rule, operations: 3, faults: ["crash": 2, "pause": 1]))
    }

    @Test func failuresAreGroupedByRuleAndWorkload() {
        var tally = CampaignTally()
        tally.add(SeedJob(seed: 1, workload: "append"), result(1))
        tally.add(SeedJob(seed: 2, workload: "append"), result(2, rule: "liveness"))
        tally.add(SeedJob(seed: 3, workload: "bank"), result(3, rule: "liveness"))
        tally.add(SeedJob(seed: 4, workload: "append"), result(4, rule: "append"))
        tally.add(SeedJob(seed: 5, workload: "append"), result(5, rule: "liveness"))
        tally.add(SeedJob(seed: 6, workload: "bank"), .crashed("signal 4"), planned: ["pause"])
        #expect(
            tally.groups.map { "\($0.rule), \($0.workload): \($0.seeds)" } == [
                "liveness, append: [2, 5]", "liveness, bank: [3]", "append, append: [4]",
                "no process ends by itself, bank: [6]",
            ])
        #expect(tally.total.seeds == 6 && tally.total.failures == 5 && tally.total.operations == 15)
        #expect(tally.workloads["append"]?.failures == 3)
        #expect(tally.faults["crash"] == CampaignTally.FaultCounts(episodes: 10, failedRuns: 4))
        #expect(tally.faults["pause"] == CampaignTally.FaultCounts(episodes: 6, failedRuns: 5))
    }
}
