import Meridian
import MeridianCore
import Testing

/// Values over rows of several jurisdictions, which stay at home.
struct AggregateTests {
    struct Order: Codable, Sendable {
        var id: Int
        var region: String
        var product: String
        var customer: Int
        var amount: Double
        var goldAmount: Double { product == "gold" ? amount : .nan }
    }

    private let orders = Table<Order>(
        "orders", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
    private static let regions: [Region] = ["eu-west-1", "eu-central-1", "us-east-1"]

    /// 30 orders in each region: 20 of tea, 9 of salt and 1 of gold; 10 customers a region.
    private func withOrders(_ body: (EmbeddedCluster) async throws -> Void) async throws {
        let topology = try Topology.aws(
            Self.regions, jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU", "us-east-1": "US"])
        let cluster = try await EmbeddedCluster(
            topology: topology,
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false, rules: .examples))
        do {
            for (position, region) in Self.regions.enumerated() {
                try await cluster.database(in: region).write { tx in
                    for number in 0..<30 {
                        let product = number < 20 ? "tea" : number < 29 ? "salt" : "gold"
                        let order = Order(
                            id: position * 100 + number, region: region.rawValue, product: product,
                            customer: position * 10 + number % 10, amount: Double(number))
                        try await tx.insert(order, into: orders)
                    }
                }
            }
            try await body(cluster)
            await cluster.shutdown()
        } catch {
            await cluster.shutdown()
            throw error
        }
    }

    @Test func valuesAreThoseOfAllRows() async throws {
        try await withOrders { cluster in
            let result = try await cluster.database(in: "us-east-1").aggregate(
                over: orders, [.count, .sum(\.amount), .mean(\.amount), .histogram(\.amount, bounds: [10, 20])],
                person: { "\($0.customer)" })
            #expect(result.isComplete)
            #expect(
                result[nil]?.values
                    == [.number(90), .number(3 * 435), .number(14.5), .buckets([30, 30, 30])])
        }
    }

    @Test func groupsBelowTheRulesMinimumStayAtHome() async throws {
        try await withOrders { cluster in
            let result = try await cluster.database(in: "us-east-1").aggregate(
                over: orders, [.count], groupedBy: { $0.product }, person: { "\($0.customer)" })
            // In Europe: 40 of tea, 18 of salt, 2 of gold. At home in America all groups are seen.
            #expect(result["tea"]?.values == [.number(60)])
            #expect(result["salt"]?.values == [.number(27)])
            #expect(result["gold"]?.values == [.number(1)])
            #expect(result.withheldGroups == ["EU": 10], "the rule, and not how many there were")
        }
    }

    @Test func aGroupsSizeCanBeItsPersons() async throws {
        try await withOrders { cluster in
            let america = cluster.database(in: "us-east-1")
            // 18 rows of salt in Europe, of 18 persons; at least 20 are asked for.
            let persons = try await america.aggregate(
                over: orders, [.count], groupedBy: { $0.product }, person: { "\($0.customer)" }, minimumGroupSize: 20)
            #expect(persons["tea"]?.values == [.number(60)])
            #expect(persons["salt"]?.values == [.number(9)])
            #expect(persons.withheldGroups == ["EU": 20])
        }
    }

    @Test func smallBucketsAreWithheld() async throws {
        try await withOrders { cluster in
            let result = try await cluster.database(in: "us-east-1").aggregate(
                over: orders, [.histogram(\.amount, bounds: [2, 20])], person: { "\($0.customer)" })
            // Europe has 4 persons below 2; without a second bucket a count would tell of them.
            #expect(result[nil]?.values == [.buckets([nil, nil, 30])])
        }
    }

    @Test func whereARuleAsksForPersonsTheyMustBeSaid() async throws {
        try await withOrders { cluster in
            let error = await #expect(throws: MeridianError.self) {
                _ = try await cluster.database(in: "us-east-1").aggregate(over: orders, [.count])
            }
            #expect(error?.code == .jurisdictionViolation)
        }
    }

    /// The finding: whether a group was withheld told, by bisection, what one person had.
    @Test func aWithheldGroupLeavesNoTrace() async throws {
        try await withOrders { cluster in
            for amount in [0.0, 5, 20, 100] {
                let answer = try await cluster.database(in: "us-east-1").aggregate(
                    over: orders, [.count], person: { "\($0.customer)" },
                    where: { $0.region == "eu-west-1" && $0.customer == 7 && $0.amount >= amount })
                #expect(answer.groups.isEmpty && answer.withheldGroups == ["EU": 10])
            }
        }
    }

    /// Eleven of twelve have no number: the value of the group would be the one's.
    @Test func aValueOfOnePersonInALargeGroupIsWithheld() async throws {
        try await withOrders { cluster in
            let answer = try await cluster.database(in: "us-east-1").aggregate(
                over: orders, [.count, .sum(\.goldAmount), .mean(\.goldAmount)], person: { "\($0.customer)" },
                where: { $0.region == "eu-west-1" })
            #expect(answer[nil]?.values == [.number(30), .withheld, .withheld])
        }
    }

    @Test func whatTheRuleDoesNotLetLeaveIsRefused() async throws {
        try await withOrders { cluster in
            let error = await #expect(throws: MeridianError.self) {
                _ = try await cluster.database(in: "us-east-1").aggregate(
                    over: orders, [.max(\.amount)], person: { "\($0.customer)" })
            }
            #expect(error?.code == .jurisdictionViolation)
            #expect(error?.message.contains("max") == true)
        }
    }

    @Test func aggregatesCrossBordersAndRowsDoNot() async throws {
        try await withOrders { cluster in
            let before = cluster.egress
            _ = try await cluster.database(in: "us-east-1").aggregate(
                over: orders, [.count, .sum(\.amount)], person: { "\($0.customer)" })
            let after = cluster.egress
            #expect(after[.aggregate].bytes - before[.aggregate].bytes == 32)
            #expect(after.answeredBytes == before.answeredBytes && after.leakedBytes == 0)
        }
    }

    @Test func aRegionThatIsDownIsNamed() async throws {
        try await withOrders { cluster in
            for node in cluster.topology.nodes(in: "eu-central-1") { await cluster.kill(node.id) }
            let result = try await cluster.database(in: "us-east-1").aggregate(
                over: orders, [.count], person: { "\($0.customer)" }, deadline: .seconds(2))
            #expect(result.missing == ["eu-central-1"])
            #expect(result[nil]?.values == [.number(60)])
        }
    }
}
