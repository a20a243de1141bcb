import Meridian

/// Loads the cities, or finds them in the directory of an earlier run and loads what is missing.
struct DemoCities: Sendable {
    let cluster: EmbeddedCluster
    let cities: [City]

    struct Outcome: Sendable {
        var loaded: Int
        var loadTime: Duration
        /// Rows in the store afterwards, by home region.
        var rows: [Region: Int]

        var total: Int { rows.values.reduce(0, +) }
    }

    private static let rowsPerCommit = 300
    private static let commitsInFlight = 4

    func load(isResumed: Bool, screen: Screen) async throws -> Outcome {
        try await cluster.database(in: DemoWorld.defaultRegion).create(DemoWorld.cities)
        let present = isResumed ? try await storedIDs() : [:]
        let missing = Dictionary(grouping: cities) { Region($0.region) }.mapValues { cities in
            cities.filter { !(present[Region($0.region)]?.contains($0.id) ?? false) }
        }
        let count = missing.values.reduce(0) { $0 + $1.count }
        let start = ContinuousClock.now
        if count > 0 {
            let bar = ProgressBar("Loading cities", total: count)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for region in cluster.topology.regions {
                    guard let rows = missing[region], !rows.isEmpty else { continue }
                    group.addTask { try await load(rows, in: region, bar) }
                }
                try await group.waitForAll()
            }
        }
        let time = ContinuousClock.now - start
        return Outcome(loaded: count, loadTime: time, rows: try await storedIDs().mapValues(\.count))
    }

    /// One region's rows, from a client that is there, some commits at a time.
    private func load(_ rows: [City], in region: Region, _ bar: ProgressBar) async throws {
        let database = cluster.database(in: region)
        let batches = stride(from: 0, to: rows.count, by: Self.rowsPerCommit).map {
            rows[$0..<min($0 + Self.rowsPerCommit, rows.count)]
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, batch) in batches.enumerated() {
                if number >= Self.commitsInFlight { try await group.next() }
                group.addTask {
                    try await database.write(deadline: .seconds(30)) { transaction in
                        for city in batch { try await transaction.insert(city, into: DemoWorld.cities) }
                    }
                    bar.advance(by: batch.count)
                }
            }
            try await group.waitForAll()
        }
    }

    /// What is in the store, asked in each region.
    private func storedIDs() async throws -> [Region: Set<Int>] {
        try await withThrowingTaskGroup(of: (Region, Set<Int>).self) { group in
            for region in cluster.topology.regions {
                group.addTask {
                    let rows = try await cluster.database(in: region).read(deadline: .seconds(30)) {
                        try await $0.scan(DemoWorld.cities, in: region)
                    }
                    return (region, Set(rows.map(\.id)))
                }
            }
            var found: [Region: Set<Int>] = [:]
            for try await (region, ids) in group { found[region] = ids }
            return found
        }
    }
}
