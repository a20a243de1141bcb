import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// The undisturbed part: clients in every region, open-loop, for a few seconds, none in step with another.
///
/// A client region a second: 10 writes of rows of its own, 10 increments (read, add 1, write) of 64 counters that all
/// regions share, 10 strong reads, 20 local reads, 5 strong and 5 local reads of heartbeats. The home region writes 40
/// heartbeats a second beside.
struct ModeLoad: Sendable {
    let mode: Mode
    let cluster: EmbeddedCluster
    let heartbeats: Heartbeats
    let duration: Duration
    let tally = Tally()

    /// What clients saw.
    final class Tally: Sendable {
        struct Counts: Sendable {
            var writes = 0
            var increments = 0
            var repeated = 0
            var errors = 0
        }

        let counts = Locked(Counts())
        let writes = Latencies()
        let writesAtHome = Latencies()
        let increments = Latencies()
        let strongReads = Latencies()
        let farStrongReads = Latencies()
        let localReads = Latencies()
        let staleness = Latencies()
        let strongStaleness = Latencies()
    }

    private static let deadline = Duration.seconds(20)
    static let writeRate = 10.0

    /// - Parameter prefix: of the ids of rows that are written.
    func run(prefix: String) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for region in cluster.topology.regions { add(region, prefix, to: &group) }
            try await group.waitForAll()
        }
    }

    private func add(_ region: Region, _ prefix: String, to group: inout ThrowingTaskGroup<Void, any Error>) {
        let database = cluster.database(in: region)
        let isHome = region == mode.home
        group.addTask { try await write(database, prefix) }
        group.addTask { try await increment(database) }
        group.addTask { try await read(database) }
        // What home reads of its own heartbeats is no question of distance.
        if !isHome { group.addTask { try await watch(database) } }
        guard !mode.isConvergent else { return }
        let isFar = region == farthest
        group.addTask { try await readStrongly(database, isFar: isFar) }
        if !isHome { group.addTask { try await watchStrongly(database) } }
    }

    /// The region with the longest way to home.
    private var farthest: Region {
        let matrix = cluster.topology.matrix
        func distance(_ region: Region) -> Int64 {
            region == mode.home ? 0 : matrix.roundTripNanoseconds(from: region, to: mode.home)
        }
        return cluster.topology.regions.max { distance($0) < distance($1) } ?? mode.home
    }

    /// No client is in step with another.
    private func load(
        _ rate: Double, into latencies: Latencies = Latencies(),
        _ operation: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        try await OpenLoop.run(
            ratePerSecond: rate, for: duration, isScattered: true, into: latencies, operation)
    }

    // MARK: Writes

    private func write(_ database: Database, _ prefix: String) async throws {
        try await load(Self.writeRate) { number in
            await counted {
                let start = ContinuousClock.now
                let receipt = try await database.write(deadline: Self.deadline) {
                    try await $0.upsert(Mode.item("\(prefix)-\(database.region)-\(number)"), into: mode.table)
                }
                let time = ContinuousClock.now - start
                tally.writes.record(time)
                if database.region == mode.home { tally.writesAtHome.record(time) }
                acknowledge(receipt)
            }
        }
    }

    private func increment(_ database: Database) async throws {
        try await load(Self.writeRate, into: tally.increments) { _ in
            await counted {
                let id = Mode.counter(Int.random(in: 0..<Mode.counters))
                let receipt = try await database.write(deadline: Self.deadline) {
                    guard var row = try await $0.get(id, from: mode.table) else {
                        throw MeridianError(.rowNotFound, "the counter \(id) is not there")
                    }
                    row.hits += 1
                    row.data = Mode.payload(by: database.region.rawValue)
                    try await $0.update(row, in: mode.table)
                }
                tally.counts.with { $0.increments += 1 }
                acknowledge(receipt)
            }
        }
    }

    private func acknowledge(_ receipt: Receipt) {
        tally.counts.with { counts in
            counts.writes += 1
            counts.repeated += receipt.attempts - 1
        }
    }

    /// An error is counted and told, and the load goes on.
    private func counted(_ operation: () async throws -> Void) async {
        do {
            try await operation()
        } catch {
            BenchRun.note("\(mode.kind.rawValue): \(error)")
            tally.counts.with { $0.errors += 1 }
        }
    }

    // MARK: Reads

    private func readStrongly(_ database: Database, isFar: Bool) async throws {
        try await load(10, into: tally.strongReads) { number in
            let start = ContinuousClock.now
            await counted {
                _ = try await database.read(deadline: Self.deadline) {
                    try await $0.get(Mode.counter(number), from: mode.table)
                }
            }
            if isFar { tally.farStrongReads.record(ContinuousClock.now - start) }
        }
    }

    private func read(_ database: Database) async throws {
        try await load(20, into: tally.localReads) { number in
            await counted {
                _ = try await database.read(mode.local, deadline: Self.deadline) {
                    try await $0.get(Mode.counter(number), from: mode.table)
                }
            }
        }
    }

    private func watch(_ database: Database) async throws {
        try await load(5) { _ in
            let begun = ContinuousClock.now
            await counted {
                let found = try await database.read(mode.local, deadline: Self.deadline) { transaction in
                    try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                        for row in 0..<Mode.beats {
                            group.addTask { (row, try await version(row, transaction)) }
                        }
                        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
                    }
                }
                tally.staleness.record(heartbeats.staleness(of: found, begun: begun))
            }
        }
    }

    private func watchStrongly(_ database: Database) async throws {
        try await load(5) { number in
            let begun = ContinuousClock.now
            await counted {
                let row = number % Mode.beats
                let found = try await database.read(deadline: Self.deadline) { try await version(row, $0) }
                tally.strongStaleness.record(heartbeats.staleness(of: [row: found], begun: begun))
            }
        }
    }

    private func version(_ row: Int, _ transaction: ReadTransaction) async throws -> Int {
        try await transaction.get(Mode.beat(row), from: mode.table)?.version ?? 0
    }
}
