import MeridianCore
import MeridianPlacement
import Testing

/// Every branch of the decision tree, each with the inputs that took it.
@Suite struct RecommendationTests {
    private let milli: Int64 = 1_000_000
    private let world: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]
    private let everywhere: [Region: Double] = ["us-east-1": 10, "eu-west-1": 10, "ap-northeast-1": 10]

    private func recommend(
        _ regions: [Region]? = nil, jurisdictions: [Region: Jurisdiction] = [:],
        locality: Locality = .regional(in: "us-east-1"), placement: Placement = .unrestricted,
        writes: [Region: Double]? = nil, reads: [Region: Double] = [:], wishes: PlannedTable.Wishes
    ) throws -> Recommendation {
        let topology = try Topology.aws(regions ?? world, jurisdictions: jurisdictions)
        let table = PlannedTable(
            name: "orders", locality: locality, placement: placement, writesPerSecond: writes ?? everywhere,
            readsPerSecond: reads, wishes: wishes)
        return Predictor(topology: topology).recommend(table)
    }

    private func inputs(_ recommendation: Recommendation) -> String {
        recommendation.steps.flatMap(\.inputs).joined(separator: "\n")
    }

    @Test func restrictedRowsAreGeoPartitioned() throws {
        let found = try recommend(
            ["eu-west-1", "eu-central-1", "us-east-1"],
            jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"], locality: .regional(in: "eu-west-1"),
            placement: .restricted, writes: ["eu-west-1": 1], wishes: PlannedTable.Wishes(rpoNanoseconds: 0))
        #expect(found.pattern == .geoPartitioned)
        // Two regions under the law: no region goal, but a copy in the other.
        #expect(found.mode == .semiSynchronous(remoteRegions: 1))
        #expect(inputs(found).contains("placement restricted"))
        #expect(inputs(found).contains("synchronous-region: refused"))
    }

    @Test func oneRegionHasOnlyItsZones() throws {
        let found = try recommend(["us-east-1"], writes: ["us-east-1": 1], wishes: .init())
        #expect(found.pattern == .singleRegion)
        #expect(found.mode == .synchronousZone)
    }

    @Test func clientsInOneRegionAskForAStandby() throws {
        let loose = try recommend(writes: ["us-east-1": 10], wishes: .init(rpoNanoseconds: 1_000 * milli))
        #expect(loose.pattern == .activePassive)
        #expect(loose.mode == .asynchronous)
        let tight = try recommend(writes: ["us-east-1": 10], wishes: .init(rpoNanoseconds: 0))
        #expect(tight.mode == .semiSynchronous(remoteRegions: 1))
        // Nobody promotes within two seconds by hand; a quorum over regions elects.
        let fast = try recommend(
            writes: ["us-east-1": 10], wishes: .init(rpoNanoseconds: 0, rtoNanoseconds: 2_000 * milli))
        #expect(fast.mode == .synchronousRegion)
        #expect(inputs(fast).contains("until somebody promotes a copy"))
    }

    @Test func tolerableConflictsAllowActiveActive() throws {
        let found = try recommend(wishes: .init(writeBudgetNanoseconds: 10 * milli, toleratesConflicts: true))
        #expect(found.pattern == .activeActive)
        #expect(found.mode == .activeActive)
        #expect(found.missed.isEmpty)
        #expect(inputs(found).contains("conflicts tolerable"))
    }

    @Test func writersWithTimeReplicateSynchronously() throws {
        let found = try recommend(wishes: .init(writeBudgetNanoseconds: 400 * milli, rpoNanoseconds: 0))
        #expect(found.pattern == .synchronous)
        #expect(found.mode == .synchronousRegion)
        #expect(inputs(found).contains("write-budget 400 ms"))
        #expect(inputs(found).contains("conflicts none"))
    }

    @Test func writersWithoutTimeWriteAtHome() throws {
        let found = try recommend(
            wishes: .init(writeBudgetNanoseconds: 10 * milli, rpoNanoseconds: 1_000 * milli))
        #expect(found.pattern == .geoPartitionedWrites)
        #expect(found.mode == .asynchronous)
        #expect(found.missed.isEmpty)
        #expect(inputs(found).contains("synchronous-region: "))
    }

    @Test func whatIsReadEverywhereAndHardlyWrittenIsGlobal() throws {
        let found = try recommend(
            locality: .global, writes: ["us-east-1": 0.1], reads: everywhere,
            wishes: .init(
                writeBudgetNanoseconds: 1_000 * milli, readBudgetNanoseconds: 5 * milli, stalenessNanoseconds: 0))
        #expect(found.pattern == .synchronous)
        #expect(found.mode == .global)
        #expect(found.missed.isEmpty)
    }

    @Test func wishesThatExcludeEachOtherAreToldApart() throws {
        let found = try recommend(
            wishes: .init(writeBudgetNanoseconds: 10 * milli, rpoNanoseconds: 0, rtoNanoseconds: 0))
        #expect(found.pattern == .geoPartitionedWrites)
        #expect(!found.missed.isEmpty)
        for wish in found.missed { #expect(!wish.reason.isEmpty) }
    }
}
