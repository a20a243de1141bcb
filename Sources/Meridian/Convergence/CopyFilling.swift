import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Fills a copy that is new with all rows of another one, and puts it to use.
///
/// The rows of the other copy as of one moment hold all that it had written and pulled by then. What was pulled later
/// the new copy pulls by itself, from the start of every outbox: nothing leaves an outbox before every copy, those that
/// are being filled included, has it (`CopyTrimmer`). It does so once before it is put to use: the region's clients
/// come from another copy, and would miss what was written there since.
struct CopyFilling: Sendable {
    let database: Database
    let table: ActiveTable

    private static let pageRows = 5_000
    /// For how long each of the other copies is pulled before the new one is put to use without.
    private static let pullPatience = Duration.seconds(5)

    func run(end: Instant) async throws {
        let matrix = database.host.topology.matrix
        let sources = table.others.filter { $0.copy.state == .active }.sorted { first, second in
            matrix.roundTripNanoseconds(from: database.region, to: first.copy.region)
                < matrix.roundTripNanoseconds(from: database.region, to: second.copy.region)
        }
        for source in sources {
            do {
                if !Planted.isOn(.joinedUnfilled) { try await fill(from: source, end: end) }
            } catch let error as MeridianError where error.code == .unavailable || error.code == .deadlineExceeded {
                continue
            }
            await catchUp(with: sources, end: end)
            _ = try await database.updateRecord(table.name, end: end) { record in
                guard let position = record.copies.firstIndex(where: { $0.number == table.own.copy.number }),
                    record.copies[position].state == .joining
                else { return false }
                record.copies[position].state = .active
                return true
            }
            return
        }
    }

    /// One that cannot be reached holds up nobody.
    private func catchUp(with sources: [ActiveTable.Copy], end: Instant) async {
        let end = min(end, database.host.deadline(after: Self.pullPatience))
        await withTaskGroup(of: Void.self) { group in
            for source in sources {
                let puller = CopyPuller(database: database, table: table, source: source)
                group.addTask { _ = try? await puller.pull(end: end) }
            }
        }
    }

    private func fill(from source: ActiveTable.Copy, end: Instant) async throws {
        // Before any row that one of the marks forbids.
        try await ErasureExchange(database: database, table: table, other: source).run(end: end)
        let merge = CopyMerge(database: database, table: table, source: source)
        let span = table.span(of: .primary, in: source)
        let scan = ReadOperation.scan(span, limit: Self.pageRows, byteLimit: CopyPuller.pageBytes)
        // A page that is lost costs little.
        let timestamp = try await database.read(source.range.id, [], at: nil, end: end).timestamp
        try await database.visitPages(
            of: scan, in: source.range.id, at: timestamp, patience: .seconds(5), end: end
        ) {
            try await merge.take($0.rows, readAt: timestamp, cursor: nil, end: end)
            return true
        }
    }
}
