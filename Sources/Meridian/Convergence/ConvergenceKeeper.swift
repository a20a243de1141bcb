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
        /// Between two times of going through whole tables; longer where that would take a twentieth of the time.
        var check = Duration.seconds(30)
    }

    private typealias Link = ConvergenceProgress.Link

    /// The tables, and which copies this region's own ones follow, for the loops; one loop writes it.
    private final class Tables: Sendable {
        private struct Known {
            var tables: [ActiveTable] = []
            var links: [Link: (table: ActiveTable, source: ActiveTable.Copy)] = [:]
        }

        private let known = Mutex(Known())

        var all: [ActiveTable] { known.withLock { $0.tables } }
        var links: [Link] { known.withLock { $0.links.keys.sorted() } }
        subscript(link: Link) -> (table: ActiveTable, source: ActiveTable.Copy)? { known.withLock { $0.links[link] } }

        func replace(by tables: [ActiveTable]) {
            var links: [Link: (table: ActiveTable, source: ActiveTable.Copy)] = [:]
            for table in tables where table.own.copy.state == .active {
                for source in table.others where source.copy.state == .active {
                    links[table.link(from: source)] = (table, source)
                }
            }
            known.withLock { $0 = Known(tables: tables, links: links) }
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
            group.addTask { await every(intervals.trim, isWanted) { await trim() } }
            group.addTask { await every(intervals.check, share: 0.05, isWanted) { await check() } }
            group.addTask { await every(intervals.tables, isWanted) { await join() } }
        }
    }

    /// - Parameter share: the most of the time that the work may take: the longer it takes, the rarer it is done.
    private func every(
        _ interval: Duration, share: Double = 1, _ isWanted: @Sendable () -> Bool,
        _ work: @Sendable () async throws -> Void
    ) async {
        while !Task.isCancelled, isWanted() {
            let begun = database.host.now
            // What fails now is tried again in the next round.
            try? await work()
            let taken = Duration.nanoseconds(database.host.now.nanoseconds(since: begun))
            await database.host.pause(for: max(interval, taken * (1 / share - 1)))
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
        tables.replace(by: found)
    }

    // MARK: Pulling

    /// Keeps a loop for each link: one that stands still holds up nobody.
    private func followAll(_ isWanted: @escaping @Sendable () -> Bool) async {
        await withTaskGroup(of: Link?.self) { group in
            var followed: Set<Link> = []
            while !Task.isCancelled, isWanted() {
                for link in tables.links where followed.insert(link).inserted {
                    group.addTask {
                        await follow(link, isWanted)
                        return link
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

    private func follow(_ link: Link, _ isWanted: @escaping @Sendable () -> Bool) async {
        guard let source = tables[link]?.source else { return }
        let copies = CopyLink(
            database: database,
            roundTrip: database.host.clientRoundTrip(from: database.region, to: source.copy.region),
            intervals: intervals.link
        ) { isWanted() ? tables[link] : nil }
        await copies.run()
    }

    // MARK: The rest

    private var activeTables: [ActiveTable] { tables.all.filter { $0.own.copy.state == .active } }

    private func trim() async {
        for table in activeTables {
            let trimmer = CopyTrimmer(database: database, table: table)
            try? await trimmer.trimOutbox(end: database.host.deadline(after: .seconds(5)))
        }
    }

    /// What goes through whole tables.
    private func check() async {
        for table in activeTables {
            // Who does not answer is not waited for: what is done goes by how long it took.
            let reachable = table.others.filter { database.host.progress.problem(of: table.link(from: $0)) == nil }
            if reachable.count == table.others.count {
                let trimmer = CopyTrimmer(database: database, table: table)
                try? await trimmer.forgetDeletions(end: database.host.deadline(after: .seconds(60)))
            }
            for other in reachable where other.copy.state == .active {
                let comparison = CopyComparison(database: database, table: table, other: other)
                _ = try? await comparison.run(end: database.host.deadline(after: .seconds(60)))
            }
        }
    }

    private func join() async {
        for table in tables.all where table.own.copy.state == .joining {
            try? await CopyFilling(database: database, table: table).run(
                end: database.host.deadline(after: .seconds(60)))
        }
    }
}
