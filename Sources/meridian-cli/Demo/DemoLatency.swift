import BenchSupport
import Meridian
import MeridianPlacement
import MeridianRuntime

/// Latency of reads and writes, one at a time, all pairs of regions side by side.
struct DemoLatency: Sendable {
    let cluster: EmbeddedCluster
    let ledger: DemoLedger
    /// One city of each region, to be read.
    let landmarks: [Region: Int]

    static let sampleCount = 15

    struct Pair: Hashable, Sendable {
        var client: Region
        var home: Region
    }

    private var pairs: [Pair] {
        cluster.topology.regions.flatMap { client in
            cluster.topology.regions.map { Pair(client: client, home: $0) }
        }
    }

    /// Strong reads of a city, from every region to every region's rows.
    func reads() async throws -> [Pair: Samples] {
        try await measure(pairs) { pair in
            guard let id = landmarks[pair.home] else { return .zero }
            let start = ContinuousClock.now
            let city = try await cluster.database(in: pair.client).read {
                try await $0.get(id, from: DemoWorld.cities, in: pair.home)
            }
            let time = ContinuousClock.now - start
            guard city != nil else {
                throw MeridianError(.rowNotFound, "table cities: a city of \(pair.home) was loaded and is not found")
            }
            return time
        }
    }

    /// Commits of one row, from every region to rows of every region, in a table that survives the loss of a zone.
    func writes() async throws -> [Pair: Samples] {
        try await measure(pairs) { pair in
            try await ledger.write(.zone, home: pair.home, from: pair.client).latency.total
        }
    }

    /// Commits of one row from its own home region.
    func commits(_ mode: CommitMode) async throws -> [Region: Samples] {
        let local = cluster.topology.regions.map { Pair(client: $0, home: $0) }
        let found = try await measure(local) { pair in
            try await ledger.write(mode, home: pair.home, from: pair.client).latency.total
        }
        return Dictionary(uniqueKeysWithValues: found.map { ($0.key.home, $0.value) })
    }

    /// What no commit of a mode can beat: the quorum's round trip, or the clock's uncertainty where that is longer.
    func floor(of mode: CommitMode, home: Region) throws -> Duration {
        let table = mode.table
        // Any numbers will do: they choose among a region's nodes, which are equally far away.
        let descriptor = TableDescriptor(
            id: TableID(1), name: table.name, locality: .regionalByRow(column: "region"), goal: table.survival,
            placement: table.placement, mode: table.mode)
        let plan = try ReplicaPlanner(topology: cluster.topology).plan(descriptor, home: home, range: RangeID(2))
        let quorum = plan.quorumRoundTripNanoseconds(cluster.topology.matrix) ?? 0
        return max(.nanoseconds(quorum), DemoWorld.clockError * 2)
    }

    /// Runs an operation some times for each pair; the first one, which may find a cold route, does not count.
    private func measure(
        _ pairs: [Pair], _ operation: @escaping @Sendable (Pair) async throws -> Duration
    ) async throws -> [Pair: Samples] {
        try await withThrowingTaskGroup(of: (Pair, Samples).self) { group in
            for (position, pair) in pairs.enumerated() {
                group.addTask {
                    // Apart from each other, so that no two wait for the same core or fsync.
                    await Pause.sleep(for: .milliseconds(7 * position))
                    _ = try await operation(pair)
                    var samples = Samples()
                    for _ in 0..<Self.sampleCount {
                        samples.add(try await operation(pair))
                        await Pause.sleep(for: .milliseconds(17))
                    }
                    return (pair, samples)
                }
            }
            var all: [Pair: Samples] = [:]
            for try await (pair, samples) in group { all[pair] = samples }
            return all
        }
    }
}
