import Logging
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// How an embedded cluster is run.
public struct ClusterConfiguration: Sendable {
    /// Where the nodes keep their files.
    public enum Storage: Sendable, Hashable {
        /// SQLite files in a directory of the system's temporary folder, removed at shutdown.
        case temporary
        /// SQLite files in this directory, one folder a node. A cluster that was run there before goes on.
        case directory(String)
        /// In memory: nothing survives the process.
        case memory
    }

    /// What the nodes' clocks know of their own error.
    public enum Clock: Sendable, Hashable {
        /// The true time is never farther from the system's clock than this, to either side (ε). Nodes of one process
        /// share one clock, so any bound holds among them.
        case declared(Duration)
        /// The kernel's own bound (`ntp_adjtime`). A clock that the kernel calls unsynchronised is unusable: the node
        /// then gives no timestamps.
        case kernel
        /// A clock a node, each drifting its own way, with Spanner's sawtooth of 1 to 7 ms of error.
        case simulated(seed: UInt64)
    }

    public var storage: Storage
    public var clock: Clock
    /// Whether links are as long as the topology's latency matrix says.
    public var simulatesLatency: Bool
    /// Each message takes up to this share longer than its link is long (0.02 is 2 %).
    public var jitter: Double
    /// A leader that is silent for this long, plus its distance, is replaced.
    public var electionTimeout: Duration
    /// How long old versions of rows are kept.
    public var retention: Duration
    /// What the laws ask of rows that are at home under them. The cluster starts only if the topology and `retention`
    /// keep to them.
    public var rules: JurisdictionRules
    /// Seeds jitter and election timeouts.
    public var seed: UInt64
    public var logger: Logger
    /// Sees every frame that a node sends, before the network does.
    package var onFrame: (@Sendable (NodeFrame) -> Void)?

    public init(
        storage: Storage = .temporary, clock: Clock = .declared(.microseconds(500)), simulatesLatency: Bool = true,
        jitter: Double = 0.02, electionTimeout: Duration = .milliseconds(300), retention: Duration = .seconds(600),
        rules: JurisdictionRules = .none, seed: UInt64 = 1,
        logger: Logger = Logger(label: "meridian", factory: { _ in SwiftLogNoOpLogHandler() })
    ) {
        self.storage = storage
        self.clock = clock
        self.simulatesLatency = simulatesLatency
        self.jitter = jitter
        self.electionTimeout = electionTimeout
        self.retention = retention
        self.rules = rules
        self.seed = seed
        self.logger = logger
    }

    func validate() throws(MeridianError) {
        guard jitter >= 0, jitter <= 10 else {
            throw MeridianError(.invalidConfiguration, "a jitter of \(jitter) is not between 0 and 10; use a share")
        }
        guard electionTimeout >= .milliseconds(100) else {
            throw MeridianError(.invalidConfiguration, "an election timeout of \(electionTimeout) is below 100 ms")
        }
        if case .declared(let error) = clock, error < .zero {
            throw MeridianError(.invalidConfiguration, "a clock error of \(error) is negative")
        }
        guard retention > .zero else {
            throw MeridianError(.invalidConfiguration, "a retention of \(retention) keeps nothing")
        }
    }
}
