import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What a region does for the cluster's tables all the time, whoever uses them: it ends changes of members whose caller
/// is gone, keeps its authority over the tables that fail over by themselves, takes over from regions that have lost
/// theirs, and brings its copies of active-active tables together with the others (`ConvergenceKeeper`).
///
/// Every region runs one. They need not agree on who acts: whatever they do is a commit to a table's record under the
/// condition that it is as they saw it, so one succeeds and the others see that it has. Who is nearest to a lost region
/// goes first, and the others wait a little longer.
package struct RegionKeeper: Sendable {
    private let database: Database

    /// - Parameter region: precondition: it is in the host's topology.
    package init(host: any DatabaseHost, region: Region) { database = Database(host: host, region: region) }

    private static let interval = Duration.nanoseconds(ClusterTiming.keeperIntervalNanoseconds)
    /// By how much the next region waits longer than the one before.
    private static let rank = Duration.nanoseconds(ClusterTiming.takeOverRankNanoseconds)

    /// Works until the task is cancelled, or as long as it is wanted.
    ///
    /// Each kind of work has a loop of its own: a failover that takes its time must not hold up the renewal that keeps
    /// this region from being failed over itself.
    package func run(while isWanted: @escaping @Sendable () -> Bool = { true }) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await loop(isWanted, patience: .milliseconds(1_500)) { try await keepAuthority($0, end: $1) }
            }
            group.addTask { await loop(isWanted, patience: .seconds(5)) { await endChanges($0, end: $1) } }
            group.addTask { await loop(isWanted, patience: .seconds(15)) { await takeOver($0, end: $1) } }
            group.addTask { await ConvergenceKeeper(database).run(while: isWanted) }
        }
    }

    /// - Parameter patience: how long one round may take.
    private func loop(
        _ isWanted: @Sendable () -> Bool, patience: Duration,
        _ work: @Sendable (_ tables: [TableRecord], _ end: Instant) async throws -> Void
    ) async {
        while !Task.isCancelled, isWanted() {
            let end = database.host.deadline(after: patience)
            // What fails now is tried again in the next round.
            try? await work(try await database.tableRecords(end: end), end)
            await database.host.pause(for: Self.interval)
        }
    }

    private func endChanges(_ tables: [TableRecord], end: Instant) async {
        await withTaskGroup(of: Void.self) { group in
            for table in tables {
                for range in table.ranges
                where range.home == database.region && range.transition != nil && !range.isGivenUp {
                    group.addTask { try? await endChange(of: range, in: table.descriptor.name, end: end) }
                }
            }
        }
    }

    private func takeOver(_ tables: [TableRecord], end: Instant) async {
        await withTaskGroup(of: Void.self) { group in
            for table in tables where table.descriptor.failover == .automatic {
                for range in table.ranges where !range.isGivenUp {
                    group.addTask { try? await takeOverIfLost(range, of: table.descriptor.name, end: end) }
                }
            }
        }
    }

    private func keepAuthority(_ records: [TableRecord], end: Instant) async throws {
        let own = records.filter { $0.descriptor.failover == .automatic }.flatMap(\.ranges)
            .filter { $0.home == database.region && $0.fence == nil }
        guard !own.isEmpty else { return }
        try await RegionAuthority(database: database).renew(for: own, end: end)
    }

    /// Ends a change that its caller did not wait for, or a failover's.
    private func endChange(of range: RangeDescriptor, in table: String, end: Instant) async throws {
        guard try await database.isSettled(range, patience: .milliseconds(600)) else { return }
        try await database.updateRecord(table, end: end) { record in
            guard let position = record.ranges.firstIndex(of: range) else { return false }
            record.ranges[position].advanceChange()
            return true
        }
    }

    private func takeOverIfLost(_ range: RangeDescriptor, of table: String, end: Instant) async throws {
        guard let rank = rank(of: range) else { return }
        let (lapsed, record) = try await RegionAuthority.lapsed(
            of: range.home, and: table, seenBy: database, end: end)
        if range.fence == nil {
            guard let lapsed, let earliest = database.host.earliestTimestamp(in: database.region) else { return }
            let patience = Self.rank * rank
            let end = lapsed.until.advanced(byNanoseconds: patience.nanoseconds)
            guard earliest > end || Planted.isOn(.failoverUnlapsed) else { return }
        } else if rank > 0 {
            // Whoever has begun it may be about to end it.
            await database.host.pause(for: Self.rank * rank)
        }
        let procedure = FailoverProcedure(
            database: database, table: table, seen: range, destination: database.region, authority: lapsed,
            acceptsLoss: false, end: end, known: record)
        _ = try await procedure.run()
        _ = try await database.endTransactions(of: [range.id], end: end)
    }

    /// Which region this is of those that can take a range over, the nearest to its home first; `nil` when it is none.
    private func rank(of range: RangeDescriptor) -> Int? {
        let matrix = database.host.topology.matrix
        let regions = Set(range.hosts.filter { $0.role != .witness }.map(\.region)).subtracting([range.home])
        let ordered = regions.sorted { first, second in
            (matrix.roundTripNanoseconds(from: range.home, to: first), first.rawValue)
                < (matrix.roundTripNanoseconds(from: range.home, to: second), second.rawValue)
        }
        return ordered.firstIndex(of: database.region)
    }
}
