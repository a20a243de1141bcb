import MeridianConsensus
import MeridianCore
import MeridianPlacement

/// How a node behaves. Everything follows from the topology, which all nodes of a cluster share.
package struct NodeConfiguration: Sendable {
    package var node: NodeID
    package var topology: Topology
    /// Seeds the random parts of timeouts.
    package var seed: UInt64
    /// The shortest time after which a silent leader is replaced; distance is added to it.
    package var electionTimeoutNanoseconds: Int64 = 300_000_000
    package var heartbeatIntervalNanoseconds: Int64 = 75_000_000
    /// Added to the leases that this node asks for.
    package var leaseExtensionNanoseconds: Int64 = 0
    package var quiesceAfterNanoseconds: Int64 = 5_000_000_000
    /// How many applied entries a log keeps for followers that lag a little; others get a snapshot.
    package var retainedLogEntries: UInt64 = 4096
    package var maximumEntriesPerMessage = 1024
    /// How long old versions are kept, at least.
    package var retentionNanoseconds: Int64 = 600_000_000_000 {
        didSet { precondition(retentionNanoseconds > 0, "a retention of \(retentionNanoseconds) ns") }
    }
    /// How often a range's old versions are given free (`Replica+Collection.swift`): often enough that they are not
    /// kept for much longer than they must be.
    package var collectionIntervalNanoseconds: Int64 { min(10_000_000_000, max(100_000_000, retentionNanoseconds / 4)) }
    /// How many rows and bytes are read for one answer.
    package var pageLimits = PageLimits.node
    /// Who may ask from where.
    package var rules = JurisdictionRules.none

    /// After this time a transaction's coordinator is taken for silent: longer than it takes to decide over any
    /// distance, in two rounds.
    package let abandonedAfterNanoseconds: Int64
    /// The longest round trip of the topology.
    private let widestNanoseconds: Int64

    package init(node: NodeID, topology: Topology, seed: UInt64) {
        let regions = topology.regions
        let widest = regions.flatMap { origin in
            regions.map { topology.matrix.roundTripNanoseconds(from: origin, to: $0) }
        }.max()
        abandonedAfterNanoseconds = 600_000_000 + 3 * (widest ?? 0)
        widestNanoseconds = widest ?? 0
        self.node = node
        self.topology = topology
        self.seed = seed
    }

    /// The system range, as every node derives it.
    package func systemDescriptor() throws(MeridianError) -> RangeDescriptor {
        let plan = try ReplicaPlanner(topology: topology).systemPlan(range: Catalog.systemRange)
        return RangeDescriptor(id: Catalog.systemRange, span: Catalog.systemSpan, table: .system, plan: plan)
    }

    /// A range's timing follows its own distances: a range that lives in one region need not wait as long for its
    /// leader as one that spans the world.
    /// - Parameter isGlobal: the range belongs to a global table.
    func raft(for range: RangeDescriptor, isGlobal: Bool = false) -> RaftConfiguration {
        let voters = range.hosts.filter { $0.role != .learner }
        let own = topology.node(node)?.region ?? range.home
        let timing = ClusterTiming(electionTimeoutNanoseconds: electionTimeoutNanoseconds)
        let timeout = timing.electionTimeoutNanoseconds(in: own, voters: voters, matrix: topology.matrix)
        let lease = timing.leaseDurationNanoseconds(voters: voters, matrix: topology.matrix)
        var configuration = RaftConfiguration(
            node: node, commitRule: range.commitRule, electionTimeoutNanoseconds: timeout,
            heartbeatIntervalNanoseconds: heartbeatIntervalNanoseconds,
            leaseDurationNanoseconds: lease + leaseExtensionNanoseconds
                + (isGlobal ? longestCloseLeadNanoseconds(of: range) : 0),
            seed: seed ^ (range.id.rawValue &* 0x9E37_79B9_7F4A_7C15))
        // The system range's followers route by what they apply, so they should hear of it at once.
        // So should those of global tables, whose fresh reads wait for it.
        configuration.announcesCommits = range.id == Catalog.systemRange || isGlobal
        // A global table is closed all the time, which takes a lease all the time.
        configuration.quiesceAfterNanoseconds = isGlobal ? 0 : quiesceAfterNanoseconds
        configuration.maximumEntriesPerMessage = maximumEntriesPerMessage
        if range.revision > 0 {
            // Before the members changed, a lease may have been as long as the widest group needs.
            configuration.restartPromiseNanoseconds =
                2 * (electionTimeoutNanoseconds + widestNanoseconds + leaseExtensionNanoseconds)
        }
        if own != range.home { configuration.electionDelayNanoseconds = timing.electionDelayNanoseconds }
        return configuration
    }

    /// How far ahead of the clock a global table's leaseholder on this node closes timestamps. The clocks' uncertainty
    /// comes on top (`Replica.close`).
    ///
    /// It is what writers wait for, so it is no longer than it must be. Raft's quorum may be farther: a fresh read of a
    /// row that is just being written then waits for the commit; reads of others do not (`Replica+LocalReads.swift`).
    func closeLeadNanoseconds(of range: RangeDescriptor) -> Int64 {
        closeLeadNanoseconds(of: range, from: topology.node(node)?.region ?? range.home)
    }

    private func closeLeadNanoseconds(of range: RangeDescriptor, from origin: Region) -> Int64 {
        ClusterTiming.closeLeadNanoseconds(members: range.members, from: origin, matrix: topology.matrix)
    }

    /// The same whoever leads, so that all members count alike: leases must reach as far as what is closed. On top
    /// comes what a lease loses on its way to the quorum, and the uncertainty of usual clocks.
    private func longestCloseLeadNanoseconds(of range: RangeDescriptor) -> Int64 {
        let longest = range.members.map { closeLeadNanoseconds(of: range, from: $0.region) }.max() ?? 0
        return longest + 2 * heartbeatIntervalNanoseconds
    }
}
