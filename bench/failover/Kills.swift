import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// Kills the leaseholder of a table again and again.
struct Kills {
    let name: String
    let topology: Topology
    let home: Region
    let survival: SurvivalGoal
    let count: Int
    let hasLatency: Bool
    let report: FigureReport

    /// - Returns: how many acknowledged writes were not found at the end.
    func run(_ summarize: (FigureReport, Latencies) -> Void) async throws -> Int {
        let cluster = try await EmbeddedCluster(
            topology: topology, configuration: ClusterConfiguration(simulatesLatency: hasLatency))
        let table = Table<FailoverItem>("items", key: \.id, locality: .regional(in: home), survival: survival)
        let database = cluster.database(in: home)
        try await database.create(table)
        let latencies = Latencies()
        var acknowledged: [Int] = []
        for round in 0..<count {
            for _ in 0..<5 { acknowledged.append(try await write(acknowledged.count, table, database)) }
            guard let leader = try await cluster.leaseholder(of: table) else {
                throw MeridianError(.unavailable, "the table has no leaseholder before kill \(round)")
            }
            await cluster.kill(leader)
            let start = ContinuousClock.now
            acknowledged.append(try await write(acknowledged.count, table, database))
            let gap = ContinuousClock.now - start
            latencies.record(gap)
            BenchRun.note("\(name) \(round + 1)/\(count): \(Int(gap.milliseconds)) ms")
            try await cluster.start(leader)
            // The node has to catch up, and keeps its old promises for a while, before it can be counted on again.
            await Pause.sleep(for: .milliseconds(hasLatency ? 2_500 : 1_500))
        }
        let found = Set(try await database.read(deadline: .seconds(30)) { try await $0.scan(table) }.map(\.id))
        summarize(report, latencies)
        await cluster.shutdown()
        return acknowledged.filter { !found.contains($0) }.count
    }

    private func write(_ id: Int, _ table: Table<FailoverItem>, _ database: Database) async throws -> Int {
        try await database.write(deadline: .seconds(20)) {
            try await $0.insert(FailoverItem(id: id, data: "x"), into: table)
        }
        return id
    }
}
