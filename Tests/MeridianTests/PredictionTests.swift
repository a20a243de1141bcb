import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import Testing

/// A prediction against a cluster that runs, loosely: test machines are busy. `bench-planner` holds all of them close.
@Suite struct PredictionTests {
    private struct Item: Codable, Sendable {
        var id: Int
    }

    @Test func writesAndReadsTakeAtLeastTheFloorThatIsPredicted() async throws {
        let regions: [Region] = ["a", "b", "c"]
        let matrix = try LatencyMatrix(
            regions: regions, roundTripMilliseconds: [[1, 20, 60], [20, 1, 50], [60, 50, 1]])
        let topology = try Topology(regions: regions.map { RegionDescriptor($0, nodes: 1) }, matrix: matrix)
        let planned = PlannedTable(name: "items", locality: .regional(in: "a"))
        let home = try #require(Predictor(topology: topology).predict(.synchronousRegion, planned).homes.first)

        let cluster = try await EmbeddedCluster(
            topology: topology, configuration: ClusterConfiguration(storage: .memory, jitter: 0))
        let table = Table<Item>("items", key: \.id, locality: .regional(in: "a"), survival: .region)
        let near = cluster.database(in: "a")
        try await near.write { try await $0.insert(Item(id: 0), into: table) }
        for (position, region) in (["a", "c"] as [Region]).enumerated() {
            let database = cluster.database(in: region)
            let predicted = try #require(home.client(region))
            let strong = try #require(predicted.strongRead)
            var (writes, reads) = (Samples(), Samples())
            for number in 1...9 {
                let start = ContinuousClock.now
                try await database.write { try await $0.insert(Item(id: position * 100 + number), into: table) }
                writes.add(ContinuousClock.now - start)
                let middle = ContinuousClock.now
                _ = try await database.read { try await $0.get(0, from: table) }
                reads.add(ContinuousClock.now - middle)
            }
            expect(writes.median, predicted.write)
            expect(reads.median, strong)
        }
        await cluster.shutdown()
    }

    private func expect(
        _ measured: Double, _ prediction: LatencyPrediction, location: SourceLocation = #_sourceLocation
    ) {
        let floor = Double(prediction.floorNanoseconds) / 1_000_000
        let predicted = Double(prediction.p50Nanoseconds) / 1_000_000
        #expect(measured >= floor, "\(measured) ms", sourceLocation: location)
        // How near the two are is a matter of a quiet machine, where `bench-planner` holds one against the other.
        #expect(predicted >= floor, "\(predicted) ms", sourceLocation: location)
    }
}
