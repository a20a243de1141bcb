import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianRuntime

/// The figures of one topology.
final class ReadsSuite: Sendable {
    struct Item: Codable, Sendable {
        var id: Int
        var region: String
        var data: String
    }

    private let name: String
    private let cluster: EmbeddedCluster
    private let regions: [Region]
    private let report: FigureReport
    private let duration: Duration
    private let items = Table<Item>("items", key: \.id, locality: .regionalByRow(\.region), survival: .region)
    private let settings = Table<Item>("settings", key: \.id, locality: .global)

    /// Rows of each region, and of the global table.
    private static let rows = 100
    private static let rate = 50.0

    init(name: String, cluster: EmbeddedCluster, regions: [Region], report: FigureReport, duration: Duration) {
        self.name = name
        self.cluster = cluster
        self.regions = regions
        self.report = report
        self.duration = duration
    }

    /// - Parameter ageLimit: the oldest that what followers show may be, in milliseconds.
    func run(ageLimit: Double) async throws {
        BenchRun.note("\(name): rows …")
        try await fill()
        try await Task.sleep(for: .seconds(2))
        try await strongReads()
        try await staleReads("busy", ageLimit, isBusy: true)
        // Longer than it takes a range to fall silent.
        try await Task.sleep(for: .seconds(7))
        try await staleReads("idle", ageLimit, isBusy: false)
        try await globalTable()
    }

    private func item(_ id: Int, _ region: Region) -> Item {
        Item(id: id, region: region.rawValue, data: String(repeating: "x", count: 100))
    }

    private func fill() async throws {
        for region in regions {
            let database = cluster.database(in: region)
            try await database.write(deadline: .seconds(30)) { transaction in
                for id in 0..<Self.rows { try await transaction.insert(self.item(id, region), into: self.items) }
            }
        }
        try await cluster.database(in: regions[0]).write(deadline: .seconds(30)) { transaction in
            for id in 0..<Self.rows {
                try await transaction.insert(self.item(id, self.regions[0]), into: self.settings)
            }
        }
    }

    /// Of rows whose leaseholder is in the client's region.
    private func strongReads() async throws {
        BenchRun.note("\(name): strong local reads …")
        let latencies = Latencies()
        try await inEachRegion { [self] region, database in
            try await OpenLoop.run(ratePerSecond: Self.rate, for: duration, into: latencies) { [self] number in
                let id = number % Self.rows
                let found = try await database.read { try await $0.get(id, from: items, in: region) }
                precondition(found != nil, "a committed row was not read")
            }
        }
        report.add("read.strong.local.\(name).p99", latencies.percentile(99), "ms", .atMost, 1)
    }

    /// Of rows that are at home in the next region, through a follower where this region has one.
    private func staleReads(_ state: String, _ ageLimit: Double, isBusy: Bool) async throws {
        BenchRun.note("\(name): stale local reads, \(state) …")
        let followed = try regions.filter { try follows($0, next(after: $0)) }
        precondition(!followed.isEmpty, "no region follows its neighbour's rows")
        let latencies = Latencies()
        let ages = Latencies()
        try await withThrowingTaskGroup(of: Void.self) { group in
            if isBusy {
                group.addTask { [self] in try await write() }
            }
            group.addTask { [self] in
                try await inEachRegion(of: followed) { [self] region, database in
                    let home = next(after: region)
                    try await OpenLoop.run(ratePerSecond: Self.rate, for: duration, into: latencies) { [self] _ in
                        let timestamp = try await database.read(.boundedStaleness(.seconds(10))) { transaction in
                            let rows = try await transaction.scan(items, in: home)
                            precondition(rows.count == Self.rows, "\(rows.count) rows instead of \(Self.rows)")
                            return transaction.timestamp
                        }
                        if let timestamp, let now = cluster.latestTimestamp(in: region) {
                            ages.record(.nanoseconds(now.rawValue - timestamp.rawValue))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let prefix = "read.stale.\(name).\(state)"
        report.add("\(prefix).scan100.p50", latencies.percentile(50), "ms")
        report.add("\(prefix).scan100.p99", latencies.percentile(99), "ms", .atMost, 2)
        report.add("\(prefix).age.p50", ages.percentile(50), "ms")
        report.add("\(prefix).age.max", ages.percentile(100), "ms", .atMost, ageLimit)
    }

    /// Fresh reads in every region while one writes, and what the writer waits.
    private func globalTable() async throws {
        BenchRun.note("\(name): the global table …")
        let latencies = Dictionary(uniqueKeysWithValues: regions.map { ($0, Latencies()) })
        let (commits, undisturbed) = (Latencies(), Latencies())
        let home = ReplicaPlanner(topology: cluster.topology).centralRegion()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                let database = cluster.database(in: home)
                try await OpenLoop.run(ratePerSecond: 1, for: duration, into: commits) { [self] number in
                    let row = item(number % Self.rows, regions[0])
                    try await database.write { try await $0.update(row, in: self.settings) }
                }
            }
            group.addTask { [self] in
                try await inEachRegion { [self] region, database in
                    guard let own = latencies[region] else { return }
                    try await OpenLoop.run(ratePerSecond: Self.rate, for: duration, into: own) { [self] number in
                        let id = number % Self.rows
                        let found = try await database.read { try await $0.get(id, from: settings) }
                        precondition(found != nil, "a committed row was not read")
                    }
                }
            }
            try await group.waitForAll()
        }
        for region in regions {
            guard let own = latencies[region] else { continue }
            report.add("read.global.\(name).\(region).p99", own.percentile(99), "ms", .atMost, 2)
        }
        let database = cluster.database(in: home)
        try await OpenLoop.run(ratePerSecond: 2, for: duration, into: undisturbed) { [self] number in
            let row = item(number % Self.rows, regions[0])
            try await database.write { try await $0.update(row, in: self.settings) }
        }
        let floor = try globalFloor(home)
        report.add("write.global.\(name).floor", floor, "ms")
        report.add("write.global.\(name).p50", undisturbed.percentile(50), "ms", .atMost, floor + 20)
        report.add("write.global.\(name).p99", undisturbed.percentile(99), "ms", .atMost, floor + 20)
        report.add("write.global.\(name).whileRead.p50", commits.percentile(50), "ms", .atMost, floor + 20)
    }

    /// max(quorum round trip, farthest one-way delay + 2ε), in milliseconds.
    private func globalFloor(_ home: Region) throws -> Double {
        let descriptor = TableDescriptor(id: TableID(1), name: settings.name, locality: .global)
        let plan = try ReplicaPlanner(topology: cluster.topology).plan(descriptor, range: RangeID(2))
        let quorum = Duration.nanoseconds(plan.quorumRoundTripNanoseconds(cluster.topology.matrix) ?? 0)
        let farthest = plan.members.map { cluster.topology.matrix.roundTripNanoseconds(from: home, to: $0.region) }
        let oneWay = Duration.nanoseconds((farthest.max() ?? 0) / 2)
        return max(quorum, oneWay + ReadsBench.epsilon * 2).milliseconds
    }

    private func write() async throws {
        let latencies = Latencies()
        try await inEachRegion { [self] region, database in
            try await OpenLoop.run(ratePerSecond: 10, for: duration, into: latencies) { [self] number in
                let row = item(number % Self.rows, region)
                try await database.write { try await $0.update(row, in: self.items) }
            }
        }
    }

    private func next(after region: Region) -> Region {
        let others = cluster.topology.regionsByDistance(from: region).filter { $0 != region }
        return others[0]
    }

    /// Whether a region has a replica of the rows that are at home in another.
    private func follows(_ region: Region, _ home: Region) throws -> Bool {
        let descriptor = TableDescriptor(
            id: TableID(1), name: items.name, locality: .regionalByRow(column: "region"), goal: .region)
        let plan = try ReplicaPlanner(topology: cluster.topology).plan(descriptor, home: home, range: RangeID(2))
        return plan.members.contains { $0.region == region }
    }

    private func inEachRegion(
        of chosen: [Region]? = nil, _ body: @escaping @Sendable (Region, Database) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for region in chosen ?? regions {
                let database = cluster.database(in: region)
                group.addTask { try await body(region, database) }
            }
            try await group.waitForAll()
        }
    }
}
