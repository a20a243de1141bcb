import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// What a region does for its copies of active-active tables: it pulls from every other region, lets go of what all
/// have, compares its copies with the others', and fills a copy that is new.
///
/// Every other region is pulled in a loop of its own, so that one that cannot be reached holds up nobody. While it
/// cannot, it is asked small questions, many a round trip, so that pulling goes on a round trip after the link is back,
/// and then takes one more.
struct ConvergenceKeeper: Sendable {
    private let database: Database
    private let tables = Tables()
    private let intervals: Intervals

    /// How often things are done.
    struct Intervals: Sendable {
        /// Between a pull that brought nothing and the next.
        var pull = Duration.milliseconds(20)
        /// Between questions to a region that does not answer.
        var probe = Duration.milliseconds(10)
        /// Between looks at which tables there are.
        var tables = Duration.milliseconds(500)
        var trim = Duration.seconds(5)
        var compare = Duration.seconds(30)
    }

    /// The tables, for the loops; one loop writes it.
    private final class Tables: Sendable {
        private let known = Mutex<[ActiveTable]>([])
        var all: [ActiveTable] {
            get { known.withLock { $0 } }
            set { known.withLock { $0 = newValue } }
        }
    }

    init(_ database: Database, intervals: Intervals = Intervals()) {
        self.database = database
        self.intervals = intervals
    }

    func run(while isWanted: @escaping @Sendable () -> Bool) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await every(intervals.tables, isWanted) { try await refresh() } }
            for region in database.host.topology.regions where region != database.region {
                group.addTask { await pullLoop(from: region, isWanted) }
            }
            group.addTask { await every(intervals.trim, isWanted) { try await trim() } }
            group.addTask { await every(intervals.compare, isWanted) { try await compare() } }
            group.addTask { await every(intervals.tables, isWanted) { try await join() } }
        }
    }

    private func every(
        _ interval: Duration, _ isWanted: @Sendable () -> Bool, _ work: @Sendable () async throws -> Void
    ) async {
        while !Task.isCancelled, isWanted() {
            // What fails now is tried again in the next round.
            try? await work()
            await database.host.pause(for: interval)
        }
    }

    private func refresh() async throws {
        let (region, topology) = (database.region, database.host.topology)
        let records = try await database.tableRecords(end: database.host.deadline(after: .seconds(2)))
        var found: [ActiveTable] = []
        for record in records {
            guard let table = try ActiveTable(record, region: region, topology: topology) else { continue }
            found.append(table)
            // Clients of this process follow copies that come and go.
            if let cached = database.host.tables[table.name], cached.record.version < record.version {
                database.noteTable(record)
            }
        }
        tables.all = found
    }

    // MARK: Pulling

    private struct Link: Sendable {
        var table: ActiveTable
        var source: ActiveTable.Copy
    }

    private func links(to region: Region) -> [Link] {
        tables.all.filter { $0.own.copy.state == .active }.flatMap { table in
            table.others.filter { $0.copy.region == region && $0.copy.state == .active }.map { Link(table: table, source: $0) }
        }
    }

    private func pullLoop(from region: Region, _ isWanted: @Sendable () -> Bool) async {
        let roundTrip = database.host.clientRoundTrip(from: database.region, to: region)
        let shortest = roundTrip * 2 + .milliseconds(500)
        var patience = shortest
        while !Task.isCancelled, isWanted() {
            let links = links(to: region)
            switch await pullAll(links, patience: patience) {
            case .idle: await database.host.pause(for: links.isEmpty ? intervals.tables : intervals.pull)
            case .busy: patience = shortest
            case .failed:
                // A page may take longer than a pull was given. Or nobody is there.
                patience = min(patience * 2, .seconds(20))
                await onceReachable(links, roundTrip: roundTrip, isWanted) {
                    if await pullAll(links, patience: patience) == .busy { patience = shortest }
                }
            }
        }
    }

    private enum Round { case idle, busy, failed }

    private func pullAll(_ links: [Link], patience: Duration) async -> Round {
        let end = database.host.deadline(after: patience)
        return await withTaskGroup(of: Round.self) { group in
            for link in links {
                group.addTask {
                    let puller = CopyPuller(database: database, table: link.table, source: link.source)
                    do {
                        return try await puller.pull(end: end) ? .busy : .idle
                    } catch {
                        if let error = error as? MeridianError {
                            database.host.progress.note(error, of: link.table.link(from: link.source))
                        }
                        return .failed
                    }
                }
            }
            var round = Round.idle
            for await one in group where round != .failed { if one != .idle { round = one } }
            return round
        }
    }

    /// Does something as soon as a leaseholder there has answered, while the questions that are still under way end.
    private func onceReachable(
        _ links: [Link], roundTrip: Duration, _ isWanted: @Sendable () -> Bool, _ body: () async -> Void
    ) async {
        guard let range = links.first?.source.range.id else { return }
        let patience = roundTrip + roundTrip / 4 + .milliseconds(20)
        await withTaskGroup(of: Bool?.self) { group in
            while !Task.isCancelled, isWanted() {
                group.addTask {
                    let end = database.host.deadline(after: patience)
                    return (try? await database.read(range, [], at: nil, end: end)) != nil
                }
                group.addTask {
                    await database.host.pause(for: intervals.probe)
                    return nil
                }
                // Until it is time for the next question.
                while let answer = await group.next() {
                    if answer == true { return await body() }
                    if answer == nil { break }
                }
            }
        }
    }

    // MARK: The rest

    private func trim() async throws {
        for table in tables.all where table.own.copy.state == .active {
            try? await CopyTrimmer(database: database, table: table).run(
                end: database.host.deadline(after: .seconds(5)))
        }
    }

    private func compare() async throws {
        for table in tables.all where table.own.copy.state == .active {
            for other in table.others where other.copy.state == .active {
                let comparison = CopyComparison(database: database, table: table, other: other)
                _ = try? await comparison.run(end: database.host.deadline(after: .seconds(30)))
            }
        }
    }

    private func join() async throws {
        for table in tables.all where table.own.copy.state == .joining {
            try await CopyFilling(database: database, table: table).run(end: database.host.deadline(after: .seconds(60)))
        }
    }
}
