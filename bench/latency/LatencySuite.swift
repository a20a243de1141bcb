import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianRuntime

/// The figures of one cluster.
final class LatencySuite: Sendable {
    let cluster: EmbeddedCluster
    let report: FigureReport
    let duration: Duration
    private let ids = Locked(0)
    /// The commit waits of commits whose quorum was at least as far away as the clock's uncertainty.
    private let waits = Latencies()

    init(cluster: EmbeddedCluster, report: FigureReport, duration: Duration) {
        self.cluster = cluster
        self.report = report
        self.duration = duration
    }

    /// Commits a second from each region: few enough that none waits for another.
    private static let rate = 25.0

    private func nextID() -> Int {
        ids.with { id in
            id += 1
            return id
        }
    }

    /// Milliseconds that no commit of a table can beat, from its home region.
    private func floor(_ table: Table<LatencyBench.Item>, home: Region) throws -> (floor: Double, quorum: Double) {
        let descriptor = TableDescriptor(
            id: TableID(1), name: table.name, locality: .regionalByRow(column: "region"), goal: table.survival,
            placement: table.placement, mode: table.mode)
        let plan = try ReplicaPlanner(topology: cluster.topology).plan(descriptor, home: home, range: RangeID(2))
        let quorum = Duration.nanoseconds(plan.quorumRoundTripNanoseconds(cluster.topology.matrix) ?? 0)
        return (max(quorum, LatencyBench.epsilon * 2).milliseconds, quorum.milliseconds)
    }

    func commits(_ goal: String, _ table: Table<LatencyBench.Item>, hasTail: Bool = true) async throws {
        BenchRun.note("commits, \(goal) …")
        try await cluster.database(in: LatencyBench.regions[0]).create(table)
        let found = try await withThrowingTaskGroup(of: (Region, Latencies).self) { group in
            for (position, region) in LatencyBench.regions.enumerated() {
                group.addTask { [self] in
                    // The regions take turns, so that no commit waits for another region's.
                    let turn = 1 / Self.rate / Double(LatencyBench.regions.count)
                    await Pause.sleep(for: .seconds(turn * Double(position)))
                    return (region, try await load(table, region))
                }
            }
            var found: [Region: Latencies] = [:]
            for try await (region, latencies) in group { found[region] = latencies }
            return found
        }
        for region in LatencyBench.regions {
            guard let latencies = found[region] else { continue }
            let floor = try floor(table, home: region).floor
            let name = "commit.\(goal).\(region)"
            report.add("\(name).floor", floor, "ms")
            // A region alone has nothing to wait for but its zones; a remote copy cannot be nearer than it is.
            let limit = goal == "asynchronous" ? 2 : floor + 2
            report.add("\(name).p50", latencies.percentile(50), "ms", .atMost, limit)
            if hasTail { report.add("\(name).p99", latencies.percentile(99), "ms", .atMost, floor + 10) }
        }
    }

    private func load(_ table: Table<LatencyBench.Item>, _ region: Region) async throws -> Latencies {
        let database = cluster.database(in: region)
        let isHidden = try floor(table, home: region).quorum >= (LatencyBench.epsilon * 2).milliseconds
        // Routes are learnt and files grow before anything is counted.
        for _ in 0..<5 { try await write(table, region, database) }
        let latencies = Latencies()
        try await OpenLoop.run(ratePerSecond: Self.rate, for: duration, into: latencies) { [self] _ in
            let receipt = try await write(table, region, database)
            if isHidden { waits.record(receipt.latency.commitWait) }
        }
        return latencies
    }

    @discardableResult
    private func write(
        _ table: Table<LatencyBench.Item>, _ region: Region, _ database: Database
    ) async throws -> Receipt {
        let row = LatencyBench.item(nextID(), region)
        return try await database.write { try await $0.insert(row, into: table) }
    }

    func reportWaits() {
        report.add("commit.waitAdded", waits.percentile(50), "ms", .atMost, 0.5)
        report.add("commit.waitAdded.p99", waits.percentile(99), "ms")
    }

    /// Strong reads at the leaseholder's region.
    func reads(_ table: Table<LatencyBench.Item>) async throws {
        BenchRun.note("strong local reads …")
        let latencies = Latencies()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for region in LatencyBench.regions {
                let database = cluster.database(in: region)
                let row = LatencyBench.item(nextID(), region)
                try await database.write { try await $0.insert(row, into: table) }
                group.addTask { [self] in
                    try await OpenLoop.run(ratePerSecond: 50, for: duration, into: latencies) { _ in
                        let found = try await database.read { try await $0.get(row.id, from: table, in: region) }
                        precondition(found?.id == row.id, "a committed row was not read")
                    }
                }
            }
            try await group.waitForAll()
        }
        report.add("read.strong.local.p50", latencies.percentile(50), "ms")
        report.add("read.strong.local.p99", latencies.percentile(99), "ms", .atMost, 1)
    }

    /// Sixty-four clients at once, each asking as soon as it is answered, one region after the other.
    func manyClients(_ table: Table<LatencyBench.Item>) async throws {
        for region in LatencyBench.regions {
            BenchRun.note("64 clients, \(region) …")
            let database = cluster.database(in: region)
            let latencies = Latencies()
            let end = ContinuousClock.now + .seconds(6)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask { [self] in
                        while ContinuousClock.now < end {
                            let start = ContinuousClock.now
                            try await write(table, region, database)
                            latencies.record(ContinuousClock.now - start)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let floor = try floor(table, home: region).floor
            report.add("commit.region.\(region).64.p50", latencies.percentile(50), "ms", .atMost, floor + 2)
            report.add("commit.region.\(region).64.p99", latencies.percentile(99), "ms", .atMost, floor + 10)
        }
    }
}
