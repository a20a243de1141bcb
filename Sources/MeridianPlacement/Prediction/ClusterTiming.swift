import MeridianCore

/// The engine's timers, and how a range's own distances stretch them: what the nodes set their clocks by
/// (`NodeConfiguration`) and what predictions are made from, so that the two cannot part.
///
/// It leaves to others what the timers are for: elections and leases to consensus, closing to the replica.
package struct ClusterTiming: Hashable, Sendable {
    /// The shortest time after which a silent leader is replaced; distance is added to it.
    package var electionTimeoutNanoseconds: Int64

    package init(electionTimeoutNanoseconds: Int64 = 300_000_000) {
        precondition(electionTimeoutNanoseconds > 0, "an election timeout of \(electionTimeoutNanoseconds) ns")
        self.electionTimeoutNanoseconds = electionTimeoutNanoseconds
    }

    /// A busy range's leader is heard this often; with each heartbeat it closes the present.
    package var heartbeatIntervalNanoseconds: Int64 { electionTimeoutNanoseconds / 4 }

    /// Nodes that have nothing to say give a sign of life this often.
    package static let keepaliveNanoseconds: Int64 = 100_000_000
    /// Leases and closed timestamps of quiescent ranges go out this often, with the next sign of life.
    package static let quietIntervalNanoseconds: Int64 = 2 * keepaliveNanoseconds - keepaliveNanoseconds / 4
    /// How often a global table's leaseholder closes ahead of the clock.
    package static let closeIntervalNanoseconds: Int64 = 8_000_000
    /// What is due this soon is closed already, when something else has a replica looked at.
    package static let closeEarlyNanoseconds: Int64 = 2_000_000
    /// What threads may lose between a closed timestamp that is due and its arrival.
    package static let closeSlackNanoseconds: Int64 = 7_000_000

    // MARK: What regions do for their tables

    /// For how long a region serves the tables that fail over by themselves without renewing (`RegionAuthority`).
    package static let authorityTermNanoseconds: Int64 = 2_000_000_000
    /// Between two rounds of a region's keeper, who renews, and takes over (`RegionKeeper`).
    package static let keeperIntervalNanoseconds: Int64 = 250_000_000
    /// By how much the next region waits longer than the one before until it takes over from a lost one.
    package static let takeOverRankNanoseconds: Int64 = 700_000_000
    /// Between a pull of an active-active table that brought nothing and the next (`ConvergenceKeeper`).
    package static let pullIntervalNanoseconds: Int64 = 20_000_000

    /// How long a failover that a region leads waits for the replicas of the home that it gives up: an answer from the
    /// farthest region, twice, and some time for them to seal themselves.
    package static func lostHomePatienceNanoseconds(from region: Region, _ topology: Topology) -> Int64 {
        let farthest = topology.regions.map {
            topology.matrix.roundTripNanoseconds(from: region, to: $0)
        }.max()
        return 300_000_000 + 2 * (farthest ?? 0)
    }

    // MARK: Stretched by distance

    /// How long a voter of a range hears nothing before it campaigns: up to as much again at random comes on top.
    package func electionTimeoutNanoseconds(
        in region: Region, voters: [Member], matrix: LatencyMatrix
    ) -> Int64 {
        let farthest = voters.map { matrix.roundTripNanoseconds(from: region, to: $0.region) }.max() ?? 0
        return electionTimeoutNanoseconds + farthest
    }

    /// What a voter outside of the home region waits longer, so that home campaigns first.
    package var electionDelayNanoseconds: Int64 { electionTimeoutNanoseconds / 2 }

    /// How far ahead a leader of these voters asks for leases: it must outlast the way to the quorum and back, and a
    /// heartbeat that is lost. The same at every member, since each bounds what it promises by it.
    package func leaseDurationNanoseconds(voters: [Member], matrix: LatencyMatrix) -> Int64 {
        let widest = voters.map { member in
            voters.map { matrix.roundTripNanoseconds(from: member.region, to: $0.region) }.max() ?? 0
        }.max()
        return electionTimeoutNanoseconds + (widest ?? 0)
    }

    /// How far ahead of the clock the leaseholder of a global table closes timestamps. What it closes must still lie in
    /// the future when the next message arrives in the farthest region: the way there, longer by what links vary, the
    /// time between two messages, and what threads may lose. The clocks' uncertainty comes on top.
    package static func closeLeadNanoseconds(members: [Member], from origin: Region, matrix: LatencyMatrix) -> Int64 {
        let farthest = members.map { matrix.roundTripNanoseconds(from: origin, to: $0.region) }.max() ?? 0
        let oneWay = farthest / 2
        return oneWay + oneWay / 40 + closeIntervalNanoseconds + closeSlackNanoseconds
    }
}
