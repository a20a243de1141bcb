import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// A region dies under the sessions of its clients, and comes back: what their reads and writes see of it.
struct RegionDeath: Sendable {
    let cluster: EmbeddedCluster
    let report: FigureReport

    private static let lost: Region = "eu-west-1"
    private static let rate = 20.0

    func run() async throws {
        var configuration = RoutingConfiguration()
        configuration.pingInterval = .seconds(1)
        configuration.coolDown = .seconds(1)
        let router = try cluster.router(near: Self.lost, configuration: configuration)
        let session = try router.session(.causal)
        try await session.write { transaction in
            let profile = SessionsSuite.Profile(id: "death", region: SessionsBench.home.rawValue, version: 0)
            try await transaction.upsert(profile, into: SessionsSuite.profiles)
        }
        let (undisturbed, disturbed) = (Latencies(), Latencies())
        let errors = Locked(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await router.run() }
            try await read(session, for: .seconds(3), undisturbed, errors)
            let nodes = cluster.topology.nodes(in: Self.lost).map(\.id)
            async let reads: Void = read(session, for: .seconds(8), disturbed, errors)
            await Pause.sleep(for: .seconds(1))
            let killed = ContinuousClock.now
            for node in nodes { await cluster.kill(node) }
            await until { router.gateway != Self.lost }
            report.add("sessions.death.leave", (ContinuousClock.now - killed).milliseconds, "ms")
            try await reads
            for node in nodes { try await cluster.start(node) }
            let started = ContinuousClock.now
            await until { router.gateway == Self.lost }
            report.add("sessions.death.return", (ContinuousClock.now - started).milliseconds, "ms")
            group.cancelAll()
        }
        report.add("sessions.death.read.before.p50", undisturbed.percentile(50), "ms")
        report.add("sessions.death.read.p50", disturbed.percentile(50), "ms")
        // The slowest request of all is what a user waits at worst.
        report.add("sessions.death.read.max", disturbed.percentile(100), "ms", .atMost, 5000)
        report.add("sessions.death.errors", Double(errors.with { $0 }), "errors", .atMost, 0)
    }

    private func read(
        _ session: Session, for duration: Duration, _ latencies: Latencies, _ errors: Locked<Int>
    ) async throws {
        try await OpenLoop.run(ratePerSecond: Self.rate, for: duration, into: latencies) { _ in
            do {
                let found = try await session.read {
                    try await $0.get("death", from: SessionsSuite.profiles, in: SessionsBench.home)
                }
                if found == nil { errors.with { $0 += 1 } }
            } catch {
                errors.with { $0 += 1 }
            }
        }
    }

    private func until(_ isSo: () -> Bool) async {
        for _ in 0..<600 where !isSo() { await Pause.sleep(for: .milliseconds(20)) }
    }
}
