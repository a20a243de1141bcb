import Meridian
import Testing

/// Rules from files, and what a cluster does with them.
struct RulesTests {
    private func error(_ text: String) -> MeridianError? {
        do { _ = try JurisdictionRules(json: Array(text.utf8)) } catch { return error }
        return nil
    }

    @Test func theExamplesAreWholeAndNameTheirSources() throws {
        let rules = JurisdictionRules.examples
        #expect(rules.rules.map(\.jurisdiction) == ["EU", "BR", "IN", "US-HEALTH"])
        for rule in rules.rules {
            #expect(!rule.law.isEmpty && !rule.sources.isEmpty && !rule.regions.isEmpty && !rule.notEnforced.isEmpty)
        }
        #expect(rules["EU"]?.erasureDays == 30)
        let topology = try Topology.aws(
            ["eu-west-1", "sa-east-1", "ap-south-1", "us-east-1"],
            jurisdictions: ["eu-west-1": "EU", "sa-east-1": "BR", "ap-south-1": "IN", "us-east-1": "US-HEALTH"])
        try rules.check(topology)
    }

    @Test func aMisspeltFieldIsNamedWithTheOneThatWasMeant() {
        let found = error(#"{"rules": [{"jurisdiction": "EU", "readsFromOutsid": "refused"}]}"#)
        #expect(found?.code == .invalidConfiguration)
        #expect(found?.message.contains("EU") == true && found?.message.contains("readsFromOutside") == true)
    }

    @Test func aWrongValueIsRefused() {
        #expect(error("not JSON")?.code == .invalidConfiguration)
        #expect(error(#"{"rules": [{"jurisdiction": "EU"}]}"#)?.message.contains("lacks") == true)
    }

    @Test func aClusterThatBreaksARuleDoesNotStart() async throws {
        let abroad = try Topology.aws(["us-east-1"], jurisdictions: ["us-east-1": "EU"])
        var configuration = ClusterConfiguration(storage: .memory, rules: .examples)
        await #expect(throws: MeridianError.self) {
            _ = try await EmbeddedCluster(topology: abroad, configuration: configuration)
        }
        configuration.retention = .seconds(2_592_001)
        let dublin = try Topology.aws(["eu-west-1"], jurisdictions: ["eu-west-1": "EU"])
        await #expect(throws: MeridianError.self) {
            _ = try await EmbeddedCluster(topology: dublin, configuration: configuration)
        }
    }
}

/// One cluster of two jurisdictions, with the European rule.
struct BorderTests {
    struct Person: Codable, Sendable, Equatable {
        var id: String
        var region: String
        var name: String
    }

    private let people = Table<Person>(
        "people", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)

    private func withCluster(_ body: (EmbeddedCluster) async throws -> Void) async throws {
        let topology = try Topology.aws(
            ["eu-west-1", "us-east-1"], jurisdictions: ["eu-west-1": "EU", "us-east-1": "US"])
        let configuration = ClusterConfiguration(storage: .memory, simulatesLatency: false, rules: .examples)
        let cluster = try await EmbeddedCluster(topology: topology, configuration: configuration)
        do {
            try await body(cluster)
            await cluster.shutdown()
        } catch {
            await cluster.shutdown()
            throw error
        }
    }

    @Test func readsFromOutsideAreRefusedAndCounted() async throws {
        try await withCluster { cluster in
            let europe = cluster.database(in: "eu-west-1")
            let america = cluster.database(in: "us-east-1")
            try await europe.write {
                try await $0.insert(Person(id: "ada", region: "eu-west-1", name: "Ada"), into: people)
            }
            let error = await #expect(throws: MeridianError.self) {
                _ = try await america.read { try await $0.get("ada", from: people, in: "eu-west-1") }
            }
            #expect(error?.code == .jurisdictionViolation)
            await #expect(throws: MeridianError.self) {
                _ = try await america.transact { try await $0.get("ada", from: people, in: "eu-west-1") }
            }
            // Who does not name the region learns nothing.
            #expect(try await america.read { try await $0.get("ada", from: people) } == nil)
            // Writing from outside is allowed.
            try await america.write {
                try await $0.insert(Person(id: "grace", region: "eu-west-1", name: "Grace"), into: people)
            }
            #expect(try await europe.read { try await $0.get("grace", from: people) }?.name == "Grace")
            let ledger = cluster.egress
            #expect(ledger.leakedBytes == 0 && ledger.answeredBytes == 0)
            #expect(ledger[.request].bytes > 0)
            #expect(ledger[.consensus].messages > 0)
        }
    }

    @Test func aKeyThatIsNotAtHomeIsNotAskedForElsewhere() async throws {
        try await withCluster { cluster in
            let europe = cluster.database(in: "eu-west-1")
            try await europe.create(people)
            let before = cluster.egress.rows.filter { $0.route.from == "EU" && $0.channel == .request }
            #expect(try await europe.read { try await $0.get("nobody@example.eu", from: people) } == nil)
            #expect(try await europe.transact { try await $0.get("nobody@example.eu", from: people) }.result == nil)
            let after = cluster.egress.rows.filter { $0.route.from == "EU" && $0.channel == .request }
            #expect(before.filter { $0.table == "people" } == after.filter { $0.table == "people" })
        }
    }

    @Test func theLedgerCountsAnswersToTheByte() async throws {
        try await withCluster { cluster in
            let america = cluster.database(in: "us-east-1")
            let europe = cluster.database(in: "eu-west-1")
            try await america.write {
                try await $0.insert(Person(id: "bob", region: "us-east-1", name: "Bob"), into: people)
            }
            func answered() -> EgressCount {
                cluster.egress.rows.filter { $0.leaves && $0.channel == .answer && $0.table == "people" }
                    .reduce(EgressCount()) { $0 + $1.count }
            }
            let before = answered()
            _ = try await europe.read { try await $0.get("bob", from: people, in: "us-east-1") }
            let once = answered()
            _ = try await europe.read { try await $0.get("bob", from: people, in: "us-east-1") }
            let twice = answered()
            #expect(once.bytes > before.bytes)
            #expect(twice.bytes - once.bytes == once.bytes - before.bytes)
            #expect(twice.messages - once.messages == once.messages - before.messages)
        }
    }
}
