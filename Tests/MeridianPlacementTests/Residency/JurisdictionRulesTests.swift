import MeridianCore
import MeridianPlacement
import Testing

/// Rules are data; what they ask of a topology, a retention, a table and a request.
struct JurisdictionRulesTests {
    private let topology: Topology

    init() throws {
        topology = try .aws(
            ["eu-west-1", "eu-central-1", "us-east-1"],
            jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU", "us-east-1": "US"])
    }

    private func rule(_ change: (inout JurisdictionRule) -> Void = { _ in }) throws -> JurisdictionRules {
        var rule = JurisdictionRule(jurisdiction: "EU")
        change(&rule)
        return try JurisdictionRules([rule])
    }

    private func code(_ body: () throws -> Void) -> MeridianError.Code? {
        do { try body() } catch { return (error as? MeridianError)?.code }
        return nil
    }

    @Test func aRuleWithAValueOutOfBoundsIsRefused() {
        #expect(code { _ = try rule { $0.minimumGroupSize = 0 } } == .invalidConfiguration)
        #expect(code { _ = try rule { $0.historyLimitSeconds = 0 } } == .invalidConfiguration)
        #expect(code { _ = try rule { $0.erasureDays = -1 } } == .invalidConfiguration)
        #expect(code { _ = try rule { $0.requiredSurvival = "planet" } } == .invalidConfiguration)
    }

    @Test func aJurisdictionHasOneRuleAndARegionOneLaw() {
        let europe = JurisdictionRule(jurisdiction: "EU", regions: ["eu-west-1"])
        let other = JurisdictionRule(jurisdiction: "UK", regions: ["eu-west-1"])
        #expect(code { _ = try JurisdictionRules([europe, europe]) } == .invalidConfiguration)
        #expect(code { _ = try JurisdictionRules([europe, other]) } == .invalidConfiguration)
    }

    @Test func aRegionUnderTheWrongLawIsNamed() throws {
        #expect(code { try rule { $0.regions = ["eu-west-1", "eu-central-1"] }.check(topology) } == nil)
        let error = #expect(throws: MeridianError.self) {
            try rule { $0.regions = ["eu-west-1"] }.check(topology)
        }
        #expect(error?.message.contains("eu-central-1") == true)
        #expect(code { try rule { $0.regions = ["us-east-1"] }.check(topology) } == .jurisdictionViolation)
        // A jurisdiction that the topology does not name asks nothing of it.
        let other = try JurisdictionRules([JurisdictionRule(jurisdiction: "HEALTH", regions: ["us-east-1"])])
        #expect(code { try other.check(topology) } == nil)
    }

    @Test func aTopologyThatCannotSurviveWhatTheRuleAsksIsRefused() throws {
        #expect(code { try rule { $0.requiredSurvival = "zone" }.check(topology) } == nil)
        #expect(code { try rule { $0.requiredSurvival = "region" }.check(topology) } == .jurisdictionViolation)
        let small = try Topology.aws(["eu-west-1"], nodesPerRegion: 2, jurisdictions: ["eu-west-1": "EU"])
        #expect(code { try rule { $0.requiredSurvival = "zone" }.check(small) } == .jurisdictionViolation)
    }

    @Test func oldVersionsAreKeptNoLongerThanAllowed() throws {
        let rules = try rule { $0.historyLimitSeconds = 600 }
        #expect(code { try rules.check(retention: .seconds(600), in: topology) } == nil)
        #expect(code { try rules.check(retention: .seconds(601), in: topology) } == .jurisdictionViolation)
    }

    @Test func whereARuleCoversEveryTableAnUnrestrictedOneIsRefused() throws {
        let rules = try rule { $0.covers = .everyTable }
        let open = TableDescriptor(id: TableID(1), name: "users", locality: .regional(in: "eu-west-1"))
        let pinned = TableDescriptor(
            id: TableID(1), name: "users", locality: .regional(in: "eu-west-1"), placement: .restricted)
        #expect(code { try rules.check(open, homes: ["eu-west-1"], in: topology) } == .jurisdictionViolation)
        #expect(code { try rules.check(pinned, homes: ["eu-west-1"], in: topology) } == nil)
        #expect(code { try rules.check(open, homes: ["us-east-1"], in: topology) } == nil)
    }

    @Test func aRestrictedTableSurvivesWhatTheRuleAsks() throws {
        let rules = try rule { $0.requiredSurvival = "region" }
        var table = TableDescriptor(
            id: TableID(1), name: "users", locality: .regional(in: "eu-west-1"), placement: .restricted)
        #expect(code { try rules.check(table, homes: ["eu-west-1"], in: topology) } == .jurisdictionViolation)
        table.goal = .region
        #expect(code { try rules.check(table, homes: ["eu-west-1"], in: topology) } == nil)
    }

    @Test func requestsFromOutsideAreRefusedAsTheRuleSays() throws {
        let rules = try rule { $0.readsFromOutside = .refused }
        #expect(rules.refusal(ofReads: true, ofWrites: false, from: "US", to: "EU")?.code == .jurisdictionViolation)
        #expect(rules.refusal(ofReads: true, ofWrites: false, from: "EU", to: "EU") == nil)
        #expect(rules.refusal(ofReads: false, ofWrites: true, from: "US", to: "EU") == nil)
        #expect(rules.refusal(ofReads: true, ofWrites: false, from: "EU", to: "US") == nil)
    }

    @Test func keysAreLookedForOutsideOnlyWhereBothLawsAllowIt() throws {
        let closed = try rule { $0.lookupsOutside = .refused }
        #expect(!closed.allowsLookup(from: "EU", to: "US"))
        #expect(closed.allowsLookup(from: "EU", to: "EU"))
        #expect(closed.allowsLookup(from: "US", to: "EU"))
        #expect(!(try rule { $0.readsFromOutside = .refused }).allowsLookup(from: "US", to: "EU"))
    }
}
