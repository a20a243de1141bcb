import Foundation
import MeridianSimulation

/// `meridian simulate --campaign`: fresh seeds until the time or their number is up, whatever fails.
///
/// A list of seeds finds what it has found before. A campaign begins where the clock says, goes on after a failure,
/// counts failures by what they violate, and makes one of each smaller (`Minimiser`).
struct Campaign {
    /// The run of a seed, and the command that repeats it.
    let simulation: (SeedJob) throws -> Simulation
    let command: (SeedJob) -> String
    let workloads: [String]
    let base: UInt64
    let seeds: UInt64?
    let seconds: Double?
    let workers: WorkerPool.Command
    let jobs: Int
    let patienceSeconds: Int
    /// Failures are appended here as they happen.
    let failures: String?
    /// Lines for people, as it goes.
    let note: (String) -> Void

    /// How long one group is made smaller at most.
    private static let minimisingSeconds = 60.0

    func run() throws -> CampaignReport {
        let clock = ContinuousClock()
        let start = clock.now
        func elapsed() -> Double { (clock.now - start) / .seconds(1) }
        note("campaign from seed \(base), \(jobs) processes")
        var tally = CampaignTally()
        var count: UInt64 = 0
        let pool = WorkerPool(workers, workerCount: jobs, patienceSeconds: patienceSeconds)
        try pool.run {
            // Some of the time is kept for making failures smaller.
            let kept = seconds.map { min($0 / 4, 15 * Double(tally.groups.count)) } ?? 0
            if let seconds, elapsed() >= seconds - kept { return nil }
            if let seeds, count >= seeds { return nil }
            let seed = base &+ count
            count += 1
            return SeedJob(seed: seed, workload: workloads[Int(seed % UInt64(workloads.count))])
        } done: { job, outcome in
            tally.add(job, outcome, planned: try simulation(job).plan().episodes.map(\.kind.rawValue))
            guard let rule = outcome.rule else { return }
            let line = "FAILED: \(rule) (\(job.workload)), seed \(job.seed): \(outcome.detail.prefix(400))"
            note(line)
            note("  \(command(job))")
            try keep(line + "\n  \(command(job))")
        }
        let searched = elapsed()
        let findings = try tally.groups.map { group in
            let end = seconds.map { max($0 - elapsed(), 1) } ?? Self.minimisingSeconds
            return try minimise(group, until: clock.now + .seconds(min(end, Self.minimisingSeconds)))
        }
        return CampaignReport(base: base, seconds: searched, jobs: jobs, tally: tally, findings: findings)
    }

    private func keep(_ text: String) throws {
        guard let failures else { return }
        if !FileManager.default.fileExists(atPath: failures) {
            guard FileManager.default.createFile(atPath: failures, contents: nil) else {
                throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: failures])
            }
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: failures))
        try file.seekToEnd()
        try file.write(contentsOf: Data("\(Date().ISO8601Format()) \(text)\n".utf8))
        try file.close()
    }

    /// Makes the first run of a group smaller. Every attempt is a run in a process of its own again.
    private func minimise(
        _ group: CampaignTally.Group, until end: ContinuousClock.Instant
    ) throws -> CampaignReport.Finding {
        var job = SeedJob(seed: group.seeds[0], workload: group.workload)
        let pool = WorkerPool(workers, workerCount: 1, patienceSeconds: patienceSeconds)
        let result = try Minimiser(try simulation(job), rule: group.rule).run { episodes in
            guard ContinuousClock.now < end else { return false }
            var next: SeedJob? = SeedJob(seed: job.seed, workload: job.workload, episodes: episodes)
            var rule: String?
            try pool.run {
                defer { next = nil }
                return next
            } done: {
                rule = $1.rule
            }
            return rule == group.rule
        }
        job.episodes = result.episodes
        let needed = try simulation(job).plan().episodes.map(\.words)
        return CampaignReport.Finding(
            rule: group.rule, workload: group.workload, seeds: group.seeds, detail: String(group.detail.prefix(2_000)),
            faults: needed, command: command(job))
    }
}
