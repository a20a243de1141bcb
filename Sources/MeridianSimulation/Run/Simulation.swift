import Meridian
import MeridianCheckers
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// One run: a world, a workload, faults, and a verdict. One seed gives one run, for ever.
///
/// 1. **Set-up**: a calm world elects leaders and makes the workload's tables.
/// 2. **Safety**: clients work while the plan's faults happen. Invariants are checked after every step.
/// 3. **Liveness**: the faults stop. Within `livenessLimit` every range must serve a read and a commit through every
///    region, and every client must have its answer.
/// 4. **Verdict**: last reads, replicas compared, and the history judged by the checker of its model.
public struct Simulation: Sendable {
    public var seed: UInt64
    public var workload: String
    public var topology: Topology
    public var faults: Set<FaultKind>
    public var storage = SimulatedStorage.memory
    /// Virtual time of the safety phase.
    public var length = Duration.seconds(20)
    public var clientsPerRegion = 2
    /// The mean pause of a client between two operations.
    public var meanPause = Duration.milliseconds(300)
    /// After the faults, everything serves again within this time.
    public var livenessLimit = Duration.seconds(10)
    /// Only these episodes of the plan, by number; all if `nil`.
    public var episodes: Set<Int>?

    public init(
        seed: UInt64, workload: String, topology: Topology, faults: Set<FaultKind> = FaultKind.standard
    ) {
        self.seed = seed
        self.workload = workload
        self.topology = topology
        self.faults = faults
    }

    /// The faults of this run.
    /// - Throws: `SimulationError.impossiblePlan`.
    public func plan() throws -> FaultPlan {
        let kinds = faults.subtracting(try Workloads.named(workload, topology: topology).excluded)
        let plan = try FaultPlan.draw(seed: seed, kinds: kinds, topology: topology, length: length)
        return episodes.map { plan.keeping($0) } ?? plan
    }

    /// Runs to the verdict.
    /// - Parameter trace: is given a line for each event, with its virtual time.
    /// - Throws: `SimulationError` when the run was asked for wrongly; a broken promise is in the report.
    public func run(trace: ((String) -> Void)? = nil) throws -> SimulationReport {
        let workload = try Workloads.named(workload, topology: topology)
        return try SimulationRun(self, workload, plan: try plan(), trace: trace).run()
    }
}

/// What came of a run.
public struct SimulationReport: Sendable {
    public var seed: UInt64
    /// The first broken promise; `nil` when all were kept.
    public var violation: Violation?
    public var plan: FaultPlan
    /// The numbers of the episodes that began.
    public var begun: [Int]
    /// A fingerprint of the whole run.
    public var eventHash: String
    public var eventCount: UInt64
    public var stepCount: UInt64
    /// Virtual time of the whole run.
    public var virtualTime: Duration
    /// How long it took after the faults until everything served again.
    public var recovery: Duration?
    public var history: [HistoryEvent]
    /// The history in parts that have nothing to do with each other: mostly one, several where a long run began a new
    /// set now and then. Each is judged by itself.
    public var histories: [[HistoryEvent]]
    public var model: HistoryModel
    public var okCount: Int
    public var failCount: Int
    public var infoCount: Int
    public var frames: FrameCounts
    /// The last lines of the trace, when the run failed and a trace was kept.
    public var lastLines: [String] = []

    /// What happened to frames.
    public struct FrameCounts: Sendable, Hashable {
        public var sent: UInt64 = 0
        public var lost: UInt64 = 0
        public var duplicated: UInt64 = 0
        public var reordered: UInt64 = 0
        public var corrupted: UInt64 = 0
        public var cut: UInt64 = 0
    }
}
