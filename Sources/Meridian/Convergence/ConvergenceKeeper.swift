import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// What a region does for its copies of active-active tables: each follows every other copy (`CopyLink`), lets go of
/// what all have, is compared with the others, and is filled when it is new.
struct ConvergenceKeeper: Sendable {
    private let database: Database
    private let tables = Tables()
    private let intervals: Intervals

    /// How often things are done.
    struct Intervals: Sendable {
        var link = CopyLink.Intervals()
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
            group.addTask { await followAll(isWanted) }
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
            // A record of a newer program holds up its own table alone.
            guard let table = try? ActiveTable(record, region: region, topology: topology) else { continue }
            found.append(table)
            // Clients of this process follow copies that come and go.
            if let cached = database.host.tables[table.name], cached.record.version < record.version {
                database.noteTable(record)
            }
        }
        tables.all = found
    }

    // MARK: Pulling

    /// The copies that this region's own ones follow, by name.
    private var links: [ConvergenceProgress.Link: (table: ActiveTable, source: ActiveTable.Copy)] {
        var links: [ConvergenceProgress.Link: (table: ActiveTable, source: ActiveTable.Copy)] = [:]
        for table in tables.all where table.own.copy.state == .active {
            for source in table.others where source.copy.state == .active {
                links[table.link(from: source)] = (table, source)
            }
        }
        return links
    }

    /// Keeps a loop for each link: one that stands still holds up nobody.
    private func followAll(_ isWanted: @escaping @Sendable () -> Bool) async {
        await withTaskGroup(of: ConvergenceProgress.Link?.self) { group in
            var followed: Set<ConvergenceProgress.Link> = []
            while !Task.isCancelled, isWanted() {
                let names = links.keys.sorted()
                for name in names where followed.insert(name).inserted {
                    group.addTask {
                        await follow(name, isWanted)
                        return name
                    }
                }
                group.addTask {
                    await database.host.pause(for: intervals.tables)
                    return nil
                }
                while let ended = await group.next() {
                    guard let ended else { break }
                    followed.remove(ended)
                }
            }
        }
    }

    private func follow(_ name: ConvergenceProgress.Link, _ isWanted: @escaping @Sendable () -> Bool) async {
        guard let source = links[name]?.source else { return }
        let link = CopyLink(
            database: database,
            roundTrip: database.host.clientRoundTrip(from: database.region, to: source.copy.region),
            intervals: intervals.link
        ) { isWanted() ? links[name] : nil }
        await link.run()
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
            try await CopyFilling(database: database, table: table).run(
                end: database.host.deadline(after: .seconds(60)))
        }
    }
}
