import MeridianSimulation

/// One run of a campaign, as it is asked of a worker process.
struct SeedJob: Codable, Equatable, Sendable {
    var seed: UInt64
    var workload: String
    /// Only these episodes of the plan; all if nil.
    var episodes: [Int]?
}

/// What a worker says of a run that came to its end.
struct SeedResult: Codable, Equatable, Sendable {
    var seed: UInt64
    /// The broken rule, and what broke it; nil when all promises were kept.
    var rule: String?
    var detail: String?
    var operations = 0
    var unknown = 0
    /// How many episodes of each kind began.
    var faults: [String: Int] = [:]
    var steps: UInt64 = 0
    var virtualSeconds = 0.0
    var recoverySeconds: Double?
}

extension SeedResult {
    init(_ report: SimulationReport) {
        self.init(seed: report.seed, rule: report.violation?.rule, detail: report.violation.map { "\($0)" })
        operations = report.okCount + report.failCount + report.infoCount
        unknown = report.infoCount
        let kinds = report.plan.keeping(Set(report.begun)).episodes.map(\.kind.rawValue)
        faults = Dictionary(kinds.map { ($0, 1) }, uniquingKeysWith: +)
        steps = report.stepCount
        virtualSeconds = report.virtualTime / .seconds(1)
        recoverySeconds = report.recovery.map { $0 / .seconds(1) }
    }
}

/// How a run ended, as its campaign sees it.
enum SeedOutcome: Equatable, Sendable {
    case finished(SeedResult)
    /// The process of the run ended: an assertion of the production code, mostly. With its last words.
    case crashed(String)
    /// It was ended after so many seconds.
    case hung(seconds: Int)

    /// What was broken; nil if nothing was.
    var rule: String? {
        switch self {
        case .finished(let result): result.rule
        case .crashed: "no process ends by itself"
        case .hung: "every run ends"
        }
    }

    var detail: String {
        switch self {
        case .finished(let result): result.detail ?? ""
        case .crashed(let words): words
        case .hung(let seconds): "not done after \(seconds) s"
        }
    }
}
