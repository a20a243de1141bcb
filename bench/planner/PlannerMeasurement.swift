import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianRuntime

/// What one run of a topology really takes: p50 of writes, strong reads and nearest reads from every region, and how
/// old the last show what they show.
///
/// All regions ask at once, each kind of operation one after the other on rows of its own, so that nothing waits for
/// anything but distance, clocks and disks.
struct PlannerMeasurement: Sendable {
    struct Item: Codable, Sendable {
        var id: Int
        var data: String
    }

    struct Client: Sendable {
        var region: Region
        var write: Double
        var strongRead: Double
        var nearestRead: Double
        var staleness: Double
    }

    let cluster: EmbeddedCluster
    let run: PlannerTopology.Run
    let samples: Int
    private let table: Table<Item>

    init(cluster: EmbeddedCluster, run: PlannerTopology.Run, samples: Int) {
        self.cluster = cluster
        self.run = run
        self.samples = samples
        self.table = Self.table(run)
    }

    private static func table(_ run: PlannerTopology.Run) -> Table<Item> {
        var mode = ReplicationMode.synchronous
        var locality = TableLocality<Item>.regional(in: run.home)
        var survival = SurvivalGoal.zone
        switch run.mode {
        case .synchronousZone: break
        case .synchronousRegion: survival = .region
        case .semiSynchronous(let regions): mode = .semiSynchronous(remoteRegions: regions)
        case .asynchronous: mode = .asynchronous
        case .global: locality = .global
        case .activeActive:
            return Table<Item>(
                "t\(run.mode)", key: \.id, convergence: .lastWriterWins, placement: run.placement)
        }
        return Table<Item>(
            "t\(run.mode)", key: \.id, locality: locality, survival: survival, placement: run.placement, mode: mode)
    }

    private static let deadline = Duration.seconds(30)
    private static let warmUps = 3

    /// - Parameter settling: what is waited before the first measurement.
    func measure(after settling: Duration) async throws -> [Client] {
        let home = run.mode == .global ? ReplicaPlanner(topology: cluster.topology).centralRegion() : run.home
        try await cluster.database(in: home).create(table)
        try await waitForLeaseholder(in: home)
        await Pause.sleep(for: settling)
        let regions = cluster.topology.regions
        return try await withThrowingTaskGroup(of: Client.self) { group in
            for (position, region) in regions.enumerated() {
                group.addTask { try await measure(from: region, position) }
            }
            var found: [Client] = []
            for try await client in group { found.append(client) }
            return regions.compactMap { region in found.first { $0.region == region } }
        }
    }

    /// After the table is made, another region may lead for a while.
    private func waitForLeaseholder(in home: Region) async throws {
        let database = cluster.database(in: home)
        let end = ContinuousClock.now + Self.deadline
        while ContinuousClock.now < end {
            let receipt = try await database.write(deadline: Self.deadline) {
                try await $0.upsert(item(0), into: table)
            }
            if receipt.latency.route < .milliseconds(2) { return }
            await Pause.sleep(for: .milliseconds(100))
        }
        throw MeridianError(.deadlineExceeded, "the rows of \(home) did not get their leaseholder at home in time")
    }

    private func item(_ id: Int) -> Item { Item(id: id, data: String(repeating: "x", count: 100)) }

    private func measure(from region: Region, _ position: Int) async throws -> Client {
        let database = cluster.database(in: region)
        let first = (position + 1) * 1_000_000
        async let write = median(pause: 0...48) { number in
            try await database.write(deadline: Self.deadline) { [self] in
                try await $0.insert(item(first + number), into: table)
            }
        }
        async let strong = median(pause: 0...48) { [self] _ in
            try await database.read(deadline: Self.deadline) { _ = try await $0.get(0, from: table) }
        }
        let ages = Locked(Samples())
        if run.mode == .activeActive {
            // Reads go to the own copy, whatever they ask for. How old its newest rows of the others are, it knows.
            async let age: Void = sampleAges(of: region, into: ages)
            let (write, read) = (try await write, try await strong)
            try await age
            return Client(
                region: region, write: write, strongRead: read, nearestRead: read,
                staleness: ages.with { $0.count > 0 ? $0.median : 0 } + read)
        }
        async let nearest = median(pause: 20...90) { [self] number in
            let timestamp = try await database.read(.boundedStaleness(.seconds(10)), deadline: Self.deadline) {
                _ = try await $0.get(0, from: table)
                return $0.timestamp
            }
            // Those of the warm-up may be held back by the table's beginning.
            if number >= Self.warmUps, let timestamp, let now = cluster.latestTimestamp(in: region) {
                ages.with { $0.add(.nanoseconds(now.rawValue - timestamp.rawValue)) }
            }
        }
        return Client(
            region: region, write: try await write, strongRead: try await strong, nearestRead: try await nearest,
            staleness: ages.with { $0.median })
    }

    /// How far the region's copy is behind the one that it is farthest behind.
    private func sampleAges(of region: Region, into ages: Locked<Samples>) async throws {
        let database = cluster.database(in: region)
        for _ in 0..<samples {
            await Pause.sleep(for: .milliseconds(Int.random(in: 20...90)))
            let links = try await database.convergence(of: table, deadline: Self.deadline)
            guard let behind = links.filter({ $0.into == region }).compactMap(\.behind).max() else { continue }
            ages.with { $0.add(behind) }
        }
    }

    /// Of one operation after the other, begun at random moments: closed timestamps come at even steps, and a client
    /// that asks again at once would always meet the same part of a step.
    /// - Parameter pause: milliseconds before each.
    private func median(
        pause: ClosedRange<Int>, _ operation: @Sendable (Int) async throws -> Void
    ) async throws -> Double {
        var found = Samples()
        for number in 0..<(Self.warmUps + samples) {
            await Pause.sleep(for: .milliseconds(Int.random(in: pause)))
            let start = ContinuousClock.now
            try await operation(number)
            if number >= Self.warmUps { found.add(ContinuousClock.now - start) }
        }
        return found.median
    }
}
