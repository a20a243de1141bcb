import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// All nodes of the home region die at once under load, and come back later: when other regions' writes go on, and what
/// of the acknowledged ones is not there.
///
/// Every write is a row of its own, so that each is found or missing by itself. Clients at home write 100 a second,
/// which is how exactly the age of the oldest missing one is known; those elsewhere 20.
struct RegionLoss: Sendable {
    let mode: Mode
    let cluster: EmbeddedCluster

    /// How long the loss is watched where nobody goes on.
    static let patience = Duration.seconds(6)
    private static let limit = Duration.seconds(20)

    /// Acknowledged writes, by the row that each wrote.
    private let journal = Locked<[String: ContinuousClock.Instant]>([:])
    /// The first acknowledgement of a write that another region began after the loss.
    private let first = Locked<(killed: ContinuousClock.Instant?, at: ContinuousClock.Instant?)>((nil, nil))

    func run() async throws -> ModeFigures.Loss {
        let survivors = cluster.topology.regions.filter { $0 != mode.home }
        guard let nearest = survivors.min(by: { way($0) < way($1) }) else {
            throw MeridianError(.invalidTopology, "bench-modes kills a region and needs another one")
        }
        return try await withThrowingTaskGroup(of: Void.self) { load in
            for region in cluster.topology.regions {
                load.addTask { await write(from: region, rate: region == mode.home ? 100 : 20) }
            }
            await Pause.sleep(for: .seconds(2))
            // No message leaves any of them any more when the clock is read; their threads take a moment to end.
            for node in cluster.topology.nodes(in: mode.home) { cluster.isolate(node.id) }
            let killed = ContinuousClock.now
            first.with { $0.killed = killed }
            async let dead: Void = kill()
            async let elsewhere = probe(survivors, since: killed)
            async let client = write("client", from: mode.home, elseFrom: nearest, since: killed)
            let (isRecovered, clientRecovery) = (await elsewhere != nil, await client)
            // Of all writes, not of the first call alone: that may wait for a node that does not answer.
            let recovery = first.with { $0.at }.map { ($0 - killed).milliseconds }
            await dead
            if isRecovered { await Pause.sleep(for: .seconds(1)) }
            load.cancelAll()
            try await load.waitForAll()
            // What other regions have written reaches the one that is asked a moment later.
            if mode.isConvergent { await Pause.sleep(for: .seconds(2)) }
            return try await judge(
                killed, recovery: recovery, clientRecovery: clientRecovery, by: cluster.database(in: nearest))
        }
    }

    private func way(_ region: Region) -> Int64 {
        cluster.topology.matrix.roundTripNanoseconds(from: mode.home, to: region)
    }

    private func kill() async {
        await withTaskGroup(of: Void.self) { group in
            for node in cluster.topology.nodes(in: mode.home) { group.addTask { await cluster.kill(node.id) } }
        }
    }

    // MARK: Load and probes

    /// Until the task is cancelled.
    private func write(from region: Region, rate: Double) async {
        let database = cluster.database(in: region)
        let start = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            var number = 0
            while !Task.isCancelled {
                let id = "loss-\(region)-\(number)"
                group.addTask { _ = await write(id, database, deadline: .seconds(5)) }
                number += 1
                let due = start + .seconds(Double(number) / rate)
                await Pause.sleep(for: max(.zero, due - ContinuousClock.now))
            }
            // What is under way ends by itself: a write that was acknowledged must be noted as such.
        }
    }

    private func write(_ id: String, _ database: Database, deadline: Duration) async -> Bool {
        let begun = ContinuousClock.now
        do {
            try await database.write(deadline: deadline) { try await $0.upsert(Mode.item(id), into: mode.table) }
        } catch {
            return false
        }
        let now = ContinuousClock.now
        journal.with { $0[id] = now }
        first.with { first in
            guard let killed = first.killed, begun >= killed, database.region != mode.home else { return }
            first.at = min(first.at ?? now, now)
        }
        return true
    }

    /// The first write of any of these regions that began after the kill.
    private func probe(_ regions: [Region], since killed: ContinuousClock.Instant) async -> Double? {
        await withTaskGroup(of: Double?.self) { group in
            for region in regions {
                group.addTask { await write("probe", from: region, elseFrom: region, since: killed) }
            }
            return await group.reduce(nil) { first, next in
                guard let next else { return first }
                return min(first ?? next, next)
            }
        }
    }

    /// Asks until a write is acknowledged.
    /// - Parameter other: whom the client asks when its own region does not answer, from where it is.
    /// - Returns: milliseconds since the kill; `nil` when it gave up.
    private func write(
        _ name: String, from region: Region, elseFrom other: Region, since killed: ContinuousClock.Instant
    ) async -> Double? {
        let patience = mode.goesOnElsewhere ? Self.limit : Self.patience
        let way = cluster.clientRoundTrip(from: region, to: other)
        var gateway = region
        var number = 0
        while ContinuousClock.now < killed + patience {
            let left = killed + patience - ContinuousClock.now
            if await write("\(name)-\(region)-\(number)", cluster.database(in: gateway), deadline: left) {
                if gateway != region { await Pause.sleep(for: way) }
                return (ContinuousClock.now - killed).milliseconds
            }
            number += 1
            gateway = other
            await Pause.sleep(for: .milliseconds(20))
        }
        return nil
    }

    // MARK: Afterwards

    private func judge(
        _ killed: ContinuousClock.Instant, recovery: Double?, clientRecovery: Double?, by database: Database
    ) async throws -> ModeFigures.Loss {
        var loss = ModeFigures.Loss(
            recovery: recovery, clientRecovery: clientRecovery, patience: Self.patience.milliseconds, missing: nil,
            missingAge: nil, missingAfterReturn: 0, reported: 0)
        if recovery != nil {
            let missing = try await missing(in: database)
            loss.missing = missing.count
            loss.missingAge = missing.map { (killed - $0).milliseconds }.max().map { max(0, $0) } ?? 0
            if !mode.isConvergent {
                loss.stated = try await database.failovers(of: mode.table).compactMap(\.lostAtMostMilliseconds).max()
            }
        }
        let returned = ContinuousClock.now
        for node in cluster.topology.nodes(in: mode.home) { try await cluster.start(node.id) }
        if recovery == nil {
            guard await write("return", database, deadline: .seconds(30)) else {
                throw MeridianError(.unavailable, "\(mode.kind.rawValue): no write was acknowledged after the return")
            }
            loss.afterReturn = (ContinuousClock.now - returned).milliseconds
        }
        try await comeBack(&loss, database)
        return loss
    }

    /// Waits until the returned nodes have said all that they had.
    private func comeBack(_ loss: inout ModeFigures.Loss, _ database: Database) async throws {
        let end = ContinuousClock.now + .seconds(15)
        repeat {
            await Pause.sleep(for: .milliseconds(300))
            loss.missingAfterReturn = try await missing(in: database).count
            guard loss.missingAfterReturn > 0, !mode.isConvergent else { continue }
            loss.reported = try await reported(database)
        } while loss.missingAfterReturn > loss.reported && ContinuousClock.now < end
    }

    private func reported(_ database: Database) async throws -> Int {
        let known = journal.with { $0 }
        var found: Set<String> = []
        for commit in try await cluster.unshippedCommits(of: mode.table) {
            for case .wrote(let item) in commit.changes where known[item.id] != nil { found.insert(item.id) }
        }
        return found.count
    }

    /// When those acknowledged writes were acknowledged that a region does not show.
    private func missing(in database: Database) async throws -> [ContinuousClock.Instant] {
        let found = Set(
            try await database.read(deadline: .seconds(30)) { try await $0.scan(mode.table).map(\.id) })
        return journal.with { journal in journal.filter { !found.contains($0.key) }.map(\.value) }
    }
}
