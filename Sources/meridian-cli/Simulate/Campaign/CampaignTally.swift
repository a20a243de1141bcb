/// What a campaign has seen so far: counts by workload and by fault, and failures by what they violate.
struct CampaignTally {
    /// Runs that broke one rule under one workload: most likely one bug.
    struct Group: Equatable {
        var rule: String
        var workload: String
        /// In the order in which they ended.
        var seeds: [UInt64]
        /// Of the first.
        var detail: String
    }

    struct Counts: Equatable {
        var seeds = 0
        var virtualSeconds = 0.0
        var operations = 0
        var unknown = 0
        var failures = 0
    }

    struct FaultCounts: Equatable {
        var episodes = 0
        /// Runs that failed, and in which it happened.
        var failedRuns = 0
    }

    private(set) var groups: [Group] = []
    private(set) var workloads: [String: Counts] = [:]
    private(set) var faults: [String: FaultCounts] = [:]
    private(set) var steps: UInt64 = 0
    private(set) var slowestRecoverySeconds = 0.0

    var total: Counts {
        workloads.values.reduce(into: Counts()) { sum, counts in
            sum.seeds += counts.seeds
            sum.virtualSeconds += counts.virtualSeconds
            sum.operations += counts.operations
            sum.unknown += counts.unknown
            sum.failures += counts.failures
        }
    }

    /// - Parameter planned: kinds of the plan's episodes, for a run that did not live to say which began.
    mutating func add(_ job: SeedJob, _ outcome: SeedOutcome, planned: [String] = []) {
        var counts = workloads[job.workload] ?? Counts()
        defer { workloads[job.workload] = counts }
        counts.seeds += 1
        var begun = Dictionary(planned.map { ($0, 1) }, uniquingKeysWith: +)
        if case .finished(let result) = outcome {
            counts.virtualSeconds += result.virtualSeconds
            counts.operations += result.operations
            counts.unknown += result.unknown
            steps += result.steps
            slowestRecoverySeconds = max(slowestRecoverySeconds, result.recoverySeconds ?? 0)
            begun = result.faults
        }
        for (kind, count) in begun {
            faults[kind, default: FaultCounts()].episodes += count
            if outcome.rule != nil { faults[kind, default: FaultCounts()].failedRuns += 1 }
        }
        guard let rule = outcome.rule else { return }
        counts.failures += 1
        if let known = groups.firstIndex(where: { $0.rule == rule && $0.workload == job.workload }) {
            groups[known].seeds.append(job.seed)
        } else {
            groups.append(Group(rule: rule, workload: job.workload, seeds: [job.seed], detail: outcome.detail))
        }
    }
}
