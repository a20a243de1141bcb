import BenchSupport
import MeridianCore
import MeridianPlacement
import Testing

@testable import Meridian

/// What is predicted of active-active tables against one that runs, loosely: test machines are busy. `bench-planner`
/// holds latencies close.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ActivePredictionTests {
    private struct Cart: Codable, Sendable {
        var id: Int
        var text: String
    }

    private static let regions: [Region] = ["a", "b"]
    private static let text = String(repeating: "x", count: 2_000)

    private func withCluster(
        _ body: (EmbeddedCluster, Table<Cart>, HomePrediction) async throws -> Void
    ) async throws {
        let matrix = try LatencyMatrix(regions: Self.regions, roundTripMilliseconds: [[0, 60], [60, 0]])
        let topology = try Topology(regions: Self.regions.map { RegionDescriptor($0, nodes: 1) }, matrix: matrix)
        let planned = PlannedTable(name: "carts", locality: .activeActive, rowBytes: 2_000)
        let prediction = Predictor(topology: topology).predict(.activeActive, planned)
        let home = try #require(prediction.homes.first, "\(prediction.refusal ?? "")")
        let cluster = try await EmbeddedCluster(
            topology: topology, configuration: ClusterConfiguration(storage: .memory, jitter: 0))
        do {
            let table = Table<Cart>("carts", key: \.id, convergence: .lastWriterWins)
            try await cluster.database(in: "a").create(table)
            try await cluster.database(in: "a").write { try await $0.insert(Cart(id: 0, text: ""), into: table) }
            try await waitUntilPulled(table, cluster)
            try await body(cluster, table, home)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private static func has(_ id: Int, _ table: Table<Cart>, _ db: Database) async throws -> Bool {
        try await db.read { try await $0.get(id, from: table) } != nil
    }

    /// Keepers look for new tables now and then; from then on they pull.
    private func waitUntilPulled(_ table: Table<Cart>, _ cluster: EmbeddedCluster) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let progress = try await cluster.database(in: "b").convergence(of: table)
            if progress.count == 2, progress.allSatisfy({ $0.behind != nil }) { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the copies do not pull")
    }

    @Test func copiesAskAndCarryAsPredicted() async throws {
        try await withCluster { cluster, table, home in
            func crossed() -> (messages: Double, bytes: Double) {
                let rows = cluster.egress.rows.filter { $0.table == table.name }
                return rows.reduce((0, 0)) { ($0.0 + Double($1.count.messages), $0.1 + Double($1.count.bytes)) }
            }
            let (start, before) = (ContinuousClock.now, crossed())
            try await Task.sleep(for: .seconds(2))
            let seconds = (ContinuousClock.now - start).milliseconds / 1000
            let idle = crossed()
            // A question and an answer each. A busy machine pauses for longer, but never asks more often.
            let pulls = (idle.messages - before.messages) / 2 / seconds
            #expect(pulls < home.cost.pullsPerSecond * 1.1, "\(pulls)")
            #expect(pulls > home.cost.pullsPerSecond * 0.02, "\(pulls)")

            let count = 20
            for id in 1...count {
                try await cluster.database(in: "a").write {
                    try await $0.insert(Cart(id: id, text: Self.text), into: table)
                }
            }
            while try await !Self.has(count, table, cluster.database(in: "b")) {
                try await Task.sleep(for: .milliseconds(10))
            }
            // Each row once; stamps, keys and questions are a few bytes beside it.
            let bytes = (crossed().bytes - idle.bytes) / Double(count)
            #expect(bytes >= home.cost.crossRegionBytesPerWrite && bytes < home.cost.crossRegionBytesPerWrite * 1.3)
        }
    }

    @Test func aWriteShowsElsewhereNoSoonerThanItTravels() async throws {
        try await withCluster { cluster, table, home in
            let (near, far) = (cluster.database(in: "a"), cluster.database(in: "b"))
            var ages = Samples()
            for id in 1...15 {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...90)))
                try await near.write { try await $0.insert(Cart(id: id, text: ""), into: table) }
                let start = ContinuousClock.now
                while try await !Self.has(id, table, far) {
                    try await Task.sleep(for: .milliseconds(1))
                }
                let age = ContinuousClock.now - start
                #expect(age >= .milliseconds(29))
                ages.add(age)
            }
            // Of 30 to 113 ms, half are below the middle; the test's machine may add to that.
            let predicted = Double(try #require(home.client("b")).stalenessNanoseconds) / 1e6
            #expect(ages.median > predicted * 0.6 && ages.median < predicted * 2, "\(ages.median), \(predicted)")
        }
    }
}
