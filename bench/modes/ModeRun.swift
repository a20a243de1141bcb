import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianRuntime

/// One mode from an empty cluster to its judgement: load, count, kill, count again.
struct ModeRun: Sendable {
    let mode: Mode
    let topology: Topology
    let duration: Duration

    static let epsilon = Duration.microseconds(500)
    private static let warmUp = Duration.seconds(2)
    private static let deadline = Duration.seconds(30)

    func run() async throws -> (figures: ModeFigures, errors: Int) {
        let cluster = try await EmbeddedCluster(
            topology: topology, configuration: ClusterConfiguration(clock: .declared(Self.epsilon), jitter: 0.01))
        do {
            let result = try await measure(cluster)
            await cluster.shutdown()
            return result
        } catch {
            await cluster.shutdown()
            throw error
        }
    }

    private func measure(_ cluster: EmbeddedCluster) async throws -> (figures: ModeFigures, errors: Int) {
        let database = cluster.database(in: mode.home)
        try await database.create(mode.table)
        let writing = mode.isConvergent ? topology.regions : [mode.home]
        for region in writing { try await waitForLeaseholder(cluster.database(in: region)) }
        try await database.write(deadline: Self.deadline) {
            for number in 0..<Mode.counters {
                try await $0.upsert(Mode.item(Mode.counter(number)), into: mode.table)
            }
            for row in 0..<Mode.beats { try await $0.upsert(Mode.item(Mode.beat(row)), into: mode.table) }
        }
        let count = writing.count + Mode.counters + Mode.beats
        _ = try await sums(cluster) { sums in sums.allSatisfy { $0.rows == count } }
        var result = try await underLoad(cluster)
        BenchRun.note("\(mode.kind.rawValue): \(mode.home) dies …")
        result.figures.loss = try await RegionLoss(mode: mode, cluster: cluster).run()
        return result
    }

    private func underLoad(_ cluster: EmbeddedCluster) async throws -> (figures: ModeFigures, errors: Int) {
        let heartbeats = Heartbeats(mode)
        let database = cluster.database(in: mode.home)
        return try await withThrowingTaskGroup(of: Void.self) { beating in
            beating.addTask { await heartbeats.run(database) }
            // What local reads may show is held back by the table's beginning for a while.
            let warmUp = ModeLoad(mode: mode, cluster: cluster, heartbeats: heartbeats, duration: Self.warmUp)
            try await warmUp.run(prefix: "warm")
            let (bytesBefore, beatsBefore) = (egress(cluster), heartbeats.count)
            let load = ModeLoad(mode: mode, cluster: cluster, heartbeats: heartbeats, duration: duration)
            try await load.run(prefix: "own")
            let (bytes, beats) = (egress(cluster), heartbeats.count - beatsBefore)
            beating.cancelAll()
            try await beating.waitForAll()
            let (counts, warm) = (load.tally.counts.with { $0 }, warmUp.tally.counts.with { $0 })
            var figures = load.tally.figures(of: mode)
            // What is lost or in conflict is counted from the beginning.
            figures.increments += warm.increments
            figures.writes += warm.writes
            figures.lostUpdates = figures.increments - (try await shownIncrements(cluster))
            let writes = Double(max(1, counts.writes + beats))
            figures.replicationBytes = Double(bytes.replication - bytesBefore.replication) / writes
            figures.clientBytes = Double(bytes.clients - bytesBefore.clients) / writes
            figures.predictedWriteAtHome = predictedWriteAtHome
            figures.conflicts =
                mode.isConvergent
                ? .merged(try await database.conflicts(of: mode.table).count)
                : .repeatedAttempts(counts.repeated + warm.repeated)
            return (figures, counts.errors + warm.errors)
        }
    }

    /// What the rows show, once all copies show the same.
    private func shownIncrements(_ cluster: EmbeddedCluster) async throws -> Int {
        var last: [Shown] = []
        let shown = try await sums(cluster) { sums in
            defer { last = sums }
            return sums == last && sums.allSatisfy { $0 == sums[0] }
        }
        return shown[0].hits
    }

    /// What a copy shows of the table.
    private struct Shown: Equatable {
        var rows: Int
        var hits: Int
    }

    /// The table as it is, or as each region's copy shows it, again and again until it is as wanted.
    private func sums(_ cluster: EmbeddedCluster, until isEnough: ([Shown]) -> Bool) async throws -> [Shown] {
        let end = ContinuousClock.now + Self.deadline
        repeat {
            var found: [Shown] = []
            for region in mode.isConvergent ? topology.regions : [mode.home] {
                let rows = try await cluster.database(in: region).read(deadline: Self.deadline) {
                    try await $0.scan(mode.table)
                }
                found.append(Shown(rows: rows.count, hits: rows.reduce(0) { $0 + $1.hits }))
            }
            if isEnough(found) { return found }
            await Pause.sleep(for: .milliseconds(300))
        } while ContinuousClock.now < end
        throw MeridianError(.deadlineExceeded, "the copies of \(mode.kind.rawValue) did not become equal in time")
    }

    /// After a table is made, another region may lead for a while.
    private func waitForLeaseholder(_ database: Database) async throws {
        let end = ContinuousClock.now + Self.deadline
        while ContinuousClock.now < end {
            let receipt = try await database.write(deadline: Self.deadline) {
                try await $0.upsert(Mode.item("ready-\(database.region)"), into: mode.table)
            }
            if receipt.latency.route < .milliseconds(2) { return }
            await Pause.sleep(for: .milliseconds(100))
        }
        throw MeridianError(.deadlineExceeded, "\(mode.kind.rawValue): no leaseholder in \(database.region) in time")
    }

    /// Bytes of the table's rows that crossed from region to region until now; every region is a jurisdiction.
    private func egress(_ cluster: EmbeddedCluster) -> (replication: UInt64, clients: UInt64) {
        let rows = cluster.egress.rows.filter { $0.table == mode.table.name }
        // Copies that converge ask each other; their clients ask nobody elsewhere.
        let isClients = { (row: EgressReport.Row) in [.request, .answer].contains(row.channel) && !mode.isConvergent }
        let clients = rows.filter(isClients).reduce(0) { $0 + $1.count.bytes }
        return (rows.reduce(0) { $0 + $1.count.bytes } - clients, clients)
    }

    private var predictedWriteAtHome: Double? {
        let predictor = Predictor(
            topology: topology, epsilonNanoseconds: Int64(Self.epsilon / .nanoseconds(1)))
        let table = PlannedTable(name: "modes", locality: .regional(in: mode.home))
        let prediction = predictor.predict(mode.planned, table).home(for: mode.home)?.client(mode.home)
        return prediction.map { Double($0.write.p50Nanoseconds) / 1_000_000 }
    }
}

extension ModeLoad.Tally {
    /// What clients saw; the rest is filled in by who knows it.
    func figures(of mode: Mode) -> ModeFigures {
        let counts = counts.with { $0 }
        return ModeFigures(
            kind: mode.kind, writeAtHome: writesAtHome.percentiles, write: writes.percentiles,
            increment: increments.percentiles, strongRead: strongReads.percentilesIfAny,
            farStrongRead: farStrongReads.percentilesIfAny, localRead: localReads.percentiles,
            readsStrongly: mode.readsStrongly, staleness: staleness.percentiles,
            longestStrongStaleness: strongStaleness.count > 0 ? strongStaleness.percentile(100) : nil,
            conflicts: .repeatedAttempts(counts.repeated),
            writes: counts.writes, increments: counts.increments)
    }
}

extension Latencies {
    var percentiles: ModeFigures.Percentiles { .init(p50: percentile(50), p99: percentile(99)) }
    var percentilesIfAny: ModeFigures.Percentiles? { count > 0 ? percentiles : nil }
}
