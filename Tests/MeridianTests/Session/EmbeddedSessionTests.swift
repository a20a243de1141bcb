import MeridianCore
import Testing

@testable import Meridian

/// Sessions on real clocks and threads: they are the same as in the simulated world, and find their region by real
/// pings.
@Suite(.timeLimit(.minutes(2))) struct EmbeddedSessionTests {
    struct Item: Codable, Sendable, Equatable {
        var id: Int
        var count: Int
    }

    static let items = Table<Item>(
        "items", key: \.id, locality: .regional(in: "us-east-1"), survival: .region)
    static let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]

    private func withCluster(_ body: (EmbeddedCluster) async throws -> Void) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(Self.regions), configuration: ClusterConfiguration(storage: .memory))
        do {
            try await cluster.database(in: "us-east-1").write {
                try await $0.insert(Item(id: 1, count: 0), into: Self.items)
            }
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    @Test func everyStrategyShowsItsOwnWritesAndNoneDoesNot() async throws {
        try await withCluster { cluster in
            try await Task.sleep(for: .seconds(1))
            var number = 0
            for strategy in [
                ReadYourWrites.none, .sticky, .readFromPrimary(for: .seconds(10)), .causal, .homeRegion("us-east-1"),
            ] {
                let session = try cluster.session(near: "ap-northeast-1", strategy)
                var missed = 0
                for _ in 0..<4 {
                    number += 1
                    let item = Item(id: 1, count: number)
                    try await session.write { try await $0.update(item, in: Self.items) }
                    let found = try await session.read { try await $0.get(1, from: Self.items) }
                    if found != item { missed += 1 }
                }
                #expect((missed > 0) == (strategy == .none), "\(strategy)")
            }
        }
    }

    @Test func aSessionLeavesARegionThatDiesAndComesBackToIt() async throws {
        try await withCluster { cluster in
            var configuration = RoutingConfiguration()
            configuration.pingInterval = .milliseconds(100)
            configuration.coolDown = .milliseconds(300)
            let router = try cluster.router(near: "eu-west-1", configuration: configuration)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await router.run() }
                let session = try router.session(.causal)
                for node in cluster.topology.nodes(in: "eu-west-1") { await cluster.kill(node.id) }
                try await session.write { try await $0.update(Item(id: 1, count: 7), in: Self.items) }
                let found = try await session.read { try await $0.get(1, from: Self.items) }
                #expect(found?.count == 7)
                try await eventually { router.gateway == "us-east-1" }
                for node in cluster.topology.nodes(in: "eu-west-1") { try await cluster.start(node.id) }
                try await eventually { router.gateway == "eu-west-1" }
                group.cancelAll()
            }
        }
    }

    @Test func aGatewayElsewhereCostsTheWayThere() async throws {
        try await withCluster { cluster in
            var configuration = RoutingConfiguration()
            configuration.regions = ["ap-northeast-1"]
            let router = try cluster.router(near: "eu-west-1", configuration: configuration)
            await router.measure()
            let latency = try #require(router.measurements.first?.latency)
            // How much longer depends on who else has the machine.
            #expect(latency >= .milliseconds(201))
        }
    }

    private func eventually(_ isSo: () -> Bool) async throws {
        for _ in 0..<300 where !isSo() { try await Task.sleep(for: .milliseconds(50)) }
        #expect(isSo())
    }
}
