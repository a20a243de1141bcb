import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime
import Synchronization

/// The users of one strategy after the other, on one cluster.
struct SessionsSuite: Sendable {
    struct Profile: Codable, Sendable {
        var id: String
        var region: String
        var version: Int
    }

    let cluster: EmbeddedCluster
    let report: FigureReport
    let duration: Duration

    static let profiles = Table<Profile>(
        "profiles", key: \.id, locality: .regionalByRow(\.region), survival: .region)

    private static let usersPerRegion = 20
    private static let interval = Duration.seconds(2)
    /// After the write was acknowledged.
    private static let readsAfter: [Duration] = [.zero, .milliseconds(100), .milliseconds(500)]
    /// In every so many rounds the user reads on the other device.
    private static let roundsPerMove = 5
    /// Nothing that leaves the region is as fast: the nearest other one is 70 ms away.
    private static let local = Duration.milliseconds(35)

    /// What one strategy's reads showed.
    private final class Tally: Sendable {
        struct Counts: Sendable {
            var reads = 0
            var stale = 0
            var local = 0
        }

        let own = Locked(Counts())
        let moved = Locked(Counts())
        let ownReads = Latencies()
        let movedReads = Latencies()
        let writes = Latencies()
    }

    func run(_ kind: SessionsBench.Case) async throws {
        let tally = Tally()
        var routers: [Region: RegionRouter] = [:]
        for region in SessionsBench.clientRegions {
            let router = try cluster.router(near: region)
            await router.measure()
            routers[region] = router
        }
        try await fill(kind)
        // Until every replica has closed what is written.
        await Pause.sleep(for: .seconds(2))
        let known = routers
        try await withThrowingTaskGroup(of: Void.self) { group in
            for region in SessionsBench.clientRegions {
                for number in 0..<Self.usersPerRegion {
                    group.addTask { try await user(number, in: region, kind, known, tally) }
                }
            }
            try await group.waitForAll()
        }
        report(kind, tally)
    }

    private func id(_ kind: SessionsBench.Case, _ region: Region, _ number: Int) -> String {
        "\(kind.name)-\(region)-\(number)"
    }

    private func fill(_ kind: SessionsBench.Case) async throws {
        for region in SessionsBench.clientRegions {
            let home = kind.rows(region)
            try await cluster.database(in: home).write(deadline: .seconds(30)) { transaction in
                for number in 0..<Self.usersPerRegion {
                    let profile = Profile(id: id(kind, region, number), region: home.rawValue, version: 0)
                    try await transaction.insert(profile, into: Self.profiles)
                }
            }
        }
    }

    /// One user's rounds, each due at its time however long the one before took.
    private func user(
        _ number: Int, in region: Region, _ kind: SessionsBench.Case, _ routers: [Region: RegionRouter], _ tally: Tally
    ) async throws {
        let other = SessionsBench.clientRegions.first { $0 != region } ?? region
        guard let router = routers[region], let otherRouter = routers[other] else { return }
        let (id, home) = (id(kind, region, number), kind.rows(region))
        let session = try router.session(kind.strategy(region))
        let start = ContinuousClock.now + Self.interval * number / Self.usersPerRegion
        for round in 0..<max(1, Int(duration / Self.interval)) {
            let due = start + Self.interval * round
            let wait = due - ContinuousClock.now
            if wait > .zero { await Pause.sleep(for: wait) }
            let begun = ContinuousClock.now
            let version = round + 1
            try await session.write { transaction in
                let profile = Profile(id: id, region: home.rawValue, version: version)
                try await transaction.upsert(profile, into: Self.profiles)
            }
            let acknowledged = ContinuousClock.now
            tally.writes.record(acknowledged - begun)
            let isMoved = round % Self.roundsPerMove == Self.roundsPerMove - 1
            let reader =
                isMoved
                ? try otherRouter.session(kind.strategy(region), resuming: kind.handsTokenOn ? session.token : nil)
                : session
            for delay in Self.readsAfter {
                let wait = acknowledged + delay - ContinuousClock.now
                if wait > .zero { await Pause.sleep(for: wait) }
                let begun = ContinuousClock.now
                let found = try await reader.read { try await $0.get(id, from: Self.profiles, in: home)?.version }
                let time = ContinuousClock.now - begun
                (isMoved ? tally.movedReads : tally.ownReads).record(time)
                (isMoved ? tally.moved : tally.own).with { counts in
                    counts.reads += 1
                    if (found ?? 0) < version { counts.stale += 1 }
                    if time < Self.local { counts.local += 1 }
                }
            }
        }
    }

    private func report(_ kind: SessionsBench.Case, _ tally: Tally) {
        let name = "sessions.\(kind.name)"
        let (own, moved) = (tally.own.with { $0 }, tally.moved.with { $0 })
        func share(_ part: Int, _ whole: Int) -> Double { 100 * Double(part) / Double(max(1, whole)) }
        if kind.mayMiss {
            report.add("\(name).stale", share(own.stale, own.reads), "%")
        } else {
            report.add("\(name).stale", share(own.stale, own.reads), "%", .atMost, 0)
        }
        report.add("\(name).read.p50", tally.ownReads.percentile(50), "ms")
        report.add("\(name).read.p99", tally.ownReads.percentile(99), "ms")
        report.add("\(name).read.local", share(own.local, own.reads), "%")
        report.add("\(name).write.p50", tally.writes.percentile(50), "ms")
        report.add("\(name).write.p99", tally.writes.percentile(99), "ms")
        if moved.reads > 0 {
            report.add("\(name).moved.stale", share(moved.stale, moved.reads), "%")
            report.add("\(name).moved.read.p50", tally.movedReads.percentile(50), "ms")
            report.add("\(name).moved.read.p99", tally.movedReads.percentile(99), "ms")
        }
    }
}
