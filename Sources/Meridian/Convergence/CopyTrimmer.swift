import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Lets go of what every copy has: rows of the own outbox, and records of deleted rows.
///
/// **Outbox.** A row goes when every other copy's cursor has passed its version. The cursors are read first and the
/// table's record afterwards: a copy that is not in that record joins later than the cursors were read, so it is filled
/// from rows that have what goes here.
///
/// **Deletions.** A record of a deleted row must stay as long as somebody may still hear of an older write of the row:
/// it would take that for a new row, and the row would be back (Cassandra's zombies). Let *S* be the lowest cursor of
/// all copies on all copies: everything committed up to *S* is everywhere. A write that the deletion has seen was
/// committed before the deletion, and a write that loses to it by its stamp was begun before it, so it was committed at
/// most a transaction's life later. Hence a record that has lain here since before *S* less that life has nothing left
/// to defend against. A region that is cut off for long keeps *S* where it is: what is kept is bounded by the rows that
/// were written and deleted meanwhile, each once.
struct CopyTrimmer: Sendable {
    let database: Database
    let table: ActiveTable

    private static let batchCount = 1_000
    /// No transaction commits so long after it began: requests are forgotten earlier.
    private static let transactionLife = Duration.seconds(60)

    func run(end: Instant) async throws {
        guard !table.others.isEmpty else { return try await trimOutbox(upTo: .distantFuture, end: end) }
        guard let stable = try await stability(end: end) else { return }
        try await trimOutbox(upTo: Planted.isOn(.outboxTrimmedUnasked) ? .distantFuture : stable.own, end: end)
        let forgettable = stable.all.advanced(byNanoseconds: -Self.transactionLife.nanoseconds)
        try await forgetDeletions(
            before: Planted.isOn(.deletionsForgottenAtOnce) ? .distantFuture : forgettable, end: end)
    }

    /// Up to where all copies have the own copy's writes, and everybody's.
    private func stability(end: Instant) async throws -> (own: Timestamp, all: Timestamp)? {
        let copies = [table.own] + table.others
        var own = Timestamp.distantFuture
        var all = Timestamp.distantFuture
        for copy in copies {
            let origins = copies.map(\.copy.number).filter { $0 != copy.copy.number }
            let keys = try origins.map { try table.cursorKey(of: $0, in: copy) }
            let result = try await database.read(copy.range.id, keys.map { .get($0) }, at: nil, end: end)
            for (origin, rows) in zip(origins, result.rows) {
                let cursor = try rows.first?.version.value.map { try ActiveTable.cursor(in: $0) } ?? .zero
                if origin == table.own.copy.number { own = min(own, cursor) }
                all = min(all, cursor)
            }
        }
        let record = try await database.record(table.name, end: end)
        let numbers = Set(record.copies.filter(\.isInUse).map(\.number))
        return numbers == Set(copies.map(\.copy.number)) ? (own, all) : nil
    }

    private func trimOutbox(upTo limit: Timestamp, end: Instant) async throws {
        let span = table.span(of: .outbox, in: table.own)
        var since = Timestamp.zero
        while true {
            let operation = ReadOperation.changes(span, since: since, limit: Self.batchCount, byteLimit: 1 << 20)
            let rows = try await database.read(table.own.range.id, [operation], at: nil, end: end).rows[0]
            let covered = rows.prefix { $0.version.timestamp <= limit }
            guard let last = covered.last else { return }
            try await remove(covered, end: end)
            since = last.version.timestamp
        }
    }

    private func forgetDeletions(before limit: Timestamp, end: Instant) async throws {
        var span = table.span(of: .primary, in: table.own)
        var timestamp: Timestamp?
        while true {
            let scan = ReadOperation.scan(span, limit: 2_000, byteLimit: 1 << 20)
            let result = try await database.read(table.own.range.id, [scan], at: timestamp, end: end)
            timestamp = result.timestamp
            guard let last = result.rows[0].last else { return }
            let dead = try result.rows[0].filter { row in
                guard row.version.timestamp < limit, let value = row.version.value else { return false }
                return try RecordCoding.flags(of: RowCoding.decode(value, name: table.name))?.contains(.isAlive)
                    == false
            }
            if !dead.isEmpty { try await remove(dead[...], end: end) }
            span = KeySpan(lower: last.key.successor, upper: span.upper)
            if let upper = span.upper, span.lower >= upper { return }
        }
    }

    /// Removes rows that are still as they were seen.
    private func remove(_ rows: ArraySlice<KeyedVersion>, end: Instant) async throws {
        let request = CommitRequest(
            id: database.host.newRequestID(),
            preconditions: rows.map { .unchanged($0.key, since: $0.version.timestamp) },
            mutations: rows.map { Mutation(key: $0.key, value: nil) })
        do {
            _ = try await database.commit(table.own.range.id, request, end: end)
        } catch let error as MeridianError where error.code == .conflict {
            // Somebody has written one of them: the next round looks again.
        }
    }
}
