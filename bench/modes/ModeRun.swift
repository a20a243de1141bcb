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
        try await waitForLeaseholder(database)
        try await database.write(deadline: Self.deadline) {
            for number in 0..<Mode.counters {
                try await $0.upsert(Mode.item(Mode.counter(number)), into: mode.table)
            }
            for row in 0..<Mode.beats { try await $0.upsert(Mode.item(Mode.beat(row)), into: mode.table) }
        }
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
            figures.increments += warm.increments
            figures.lostUpdates = figures.increments - (try await shownIncrements(database))
            let writes = Double(max(1, counts.writes + beats))
            figures.replicationBytes = Double(bytes.replication - bytesBefore.replication) / writes
            figures.clientBytes = Double(bytes.clients - bytesBefore.clients) / writes
            figures.predictedWriteAtHome = predictedWriteAtHome
            return (figures, counts.errors + warm.errors)
        }
    }

    private func shownIncrements(_ database: Database) async throws -> Int {
        try await database.read(deadline: Self.deadline) { transaction in
            var sum = 0
            for number in 0..<Mode.counters {
                sum += try await transaction.get(Mode.counter(number), from: mode.table)?.hits ?? 0
            }
            return sum
        }
    }

    /// After a table is made, another region may lead for a while.
    private func waitForLeaseholder(_ database: Database) async throws {
        guard !mode.isConvergent else { return }
        let end = ContinuousClock.now + Self.deadline
        while ContinuousClock.now < end {
            let receipt = try await database.write(deadline: Self.deadline) {
                try await $0.upsert(Mode.item(Mode.counter(0)), into: mode.table)
            }
            if receipt.latency.route < .milliseconds(2) { return }
            await Pause.sleep(for: .milliseconds(100))
        }
        throw MeridianError(.deadlineExceeded, "the rows of \(mode.home) did not get their leaseholder at home in time")
    }

    /// Bytes of the table's rows that crossed from region to region until now; every region is a jurisdiction.
    private func egress(_ cluster: EmbeddedCluster) -> (replication: UInt64, clients: UInt64) {
        let rows = cluster.egress.rows.filter { $0.table == mode.table.name }
        let clients = rows.filter { [.request, .answer].contains($0.channel) }.reduce(0) { $0 + $1.count.bytes }
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
