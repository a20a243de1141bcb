import MeridianConvergence
import MeridianCore
import MeridianReplica

/// Brings what one copy of a table has written into the own one: it asks the other copy's leaseholder for the rows of
/// its outbox that changed since the *cursor*, a timestamp up to which everything is here. Commits have timestamps in
/// the order in which they become visible, so nothing can appear below a cursor later on, and asking again after a lost
/// answer, a crash or an outage of days is the same question.
struct CopyPuller: Sendable {
    let database: Database
    let table: ActiveTable
    let source: ActiveTable.Copy

    static let pageRows = 20_000
    static let pageBytes = 4 << 20
    /// How often the cursor is recorded when nothing is written: by it others see what they may forget.
    private static let idleRecordInterval = Duration.seconds(15)

    private var link: ConvergenceProgress.Link { table.link(from: source) }

    /// Pulls until the other copy has nothing more.
    /// - Returns: whether there was anything.
    func pull(end: Instant) async throws -> Bool {
        var cursor = try await cursor(end: end)
        var isNews = false
        while true {
            let operation = ReadOperation.changes(
                table.span(of: .outbox, in: source), since: cursor, limit: Self.pageRows, byteLimit: Self.pageBytes)
            let result = try await database.read(source.range.id, [operation], at: nil, end: end)
            let page = result.pages[0]
            if page.rows.isEmpty, page.resume == nil {
                try await noteIdle(from: cursor, to: result.timestamp, end: end)
                return isNews
            }
            isNews = true
            // Everything up to the read's timestamp is here, unless the page says that something is left.
            cursor = if case .after(let timestamp)? = page.resume { timestamp } else { result.timestamp }
            let merge = CopyMerge(database: database, table: table, source: source)
            if Planted.isOn(.cursorBeforeRows) {
                try await merge.take([], readAt: result.timestamp, cursor: cursor, end: end)
                database.host.progress.advance(link, to: cursor)
            }
            try await merge.take(page.rows, readAt: result.timestamp, cursor: cursor, end: end)
            database.host.progress.advance(link, to: cursor)
            if page.resume == nil { return isNews }
        }
    }

    private func cursor(end: Instant) async throws -> Timestamp {
        if let known = database.host.progress[link] { return known }
        let key = try table.cursorKey(of: source.copy.number, in: table.own)
        let result = try await database.read(table.own.range.id, [.get(key)], at: nil, end: end)
        let stored = try result.row(0)?.version.value.map { try ActiveTable.cursor(in: $0) } ?? .zero
        database.host.progress.advance(link, to: stored)
        return stored
    }

    private func noteIdle(from recorded: Timestamp, to cursor: Timestamp, end: Instant) async throws {
        database.host.progress.advance(link, to: cursor)
        let interval = Self.idleRecordInterval.nanoseconds
        guard recorded.rawValue / interval != cursor.rawValue / interval else { return }
        try await CopyMerge(database: database, table: table, source: source).take(
            [], readAt: cursor, cursor: cursor, end: end)
    }
}
