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
/// all copies on all copies: everything committed up to *S* is everywhere. A write is committed at most a transaction's
/// life after its stamp. So a deletion that was stamped before *S* less that life has nothing left to defend against:
/// what it has seen, and what loses to it, is everywhere.
///
/// It is forgotten in two steps, since a copy that has forgotten the row may make it anew while another one remembers
/// it: what the old row had counted and collected would then be added to the new one. First each copy *strips* such
/// records of that, and notes up to when it has; what all have stripped is removed. A region that is cut off for long
/// keeps *S* where it is: what is kept is bounded by the rows that were written and deleted meanwhile, each once.
struct CopyTrimmer: Sendable {
    let database: Database
    let table: ActiveTable

    private static let batchCount = 1_000
    /// No transaction commits so long after it began: requests are forgotten earlier.
    private static let transactionLife = Duration.seconds(60)

    /// Up to when something is so in all copies.
    private struct Stability {
        /// They have what the own copy has committed.
        var own: Timestamp
        /// They have what any copy has committed.
        var all: Timestamp
        /// They have stripped the records of rows that were deleted.
        var stripped: Timestamp
    }

    /// - Returns: `nil` when copies have come or gone meanwhile.
    private func stability(end: Instant) async throws -> Stability? {
        let copies = [table.own] + table.others
        let numbers = copies.map(\.copy.number)
        let now = try await database.readTimestamp(end: end)
        var stability = Stability(own: now, all: now, stripped: now)
        for copy in copies {
            let keys = try numbers.map { try table.cursorKey(of: $0, in: copy) }
            let result = try await database.read(copy.range.id, keys.map { .get($0) }, at: nil, end: end)
            for (number, page) in zip(numbers, result.pages) {
                let cursor = try page.rows.first?.version.value.map { try ActiveTable.cursor(in: $0) } ?? .zero
                guard number != copy.copy.number else {
                    stability.stripped = min(stability.stripped, cursor)
                    continue
                }
                if number == table.own.copy.number { stability.own = min(stability.own, cursor) }
                stability.all = min(stability.all, cursor)
            }
        }
        let record = try await database.record(table.name, end: end)
        return Set(record.copies.filter(\.isInUse).map(\.number)) == Set(numbers) ? stability : nil
    }

    func trimOutbox(end: Instant) async throws {
        var limit: Timestamp?
        let operation = ReadOperation.changes(
            table.span(of: .outbox, in: table.own), since: .zero, limit: Self.batchCount, byteLimit: 1 << 20)
        try await database.visitPages(of: operation, in: table.own.range.id, end: end) { page in
            // Others are asked only if there is something to trim.
            if page.rows.isEmpty { return true }
            if limit == nil { limit = try await trimmable(end: end) }
            guard let known = limit else { return false }
            let covered = page.rows.prefix { $0.version.timestamp <= known }
            if covered.isEmpty { return false }
            _ = try await change(covered.map { ($0, nil) }, end: end)
            return true
        }
    }

    private func trimmable(end: Instant) async throws -> Timestamp? {
        if Planted.isOn(.outboxTrimmedUnasked) { return .distantFuture }
        return try await stability(end: end)?.own
    }

    func forgetDeletions(end: Instant) async throws {
        guard let stability = try await stability(end: end) else { return }
        let isHasty = Planted.isOn(.deletionsForgottenAtOnce)
        let strippable = stability.all.advanced(byNanoseconds: -Self.transactionLife.nanoseconds)
        let forgettable = isHasty ? .distantFuture : stability.stripped
        var isComplete = true
        let span = table.span(of: .primary, in: table.own)
        let scan = ReadOperation.scan(span, limit: Database.page.rows, byteLimit: Database.page.bytes)
        try await database.visitPages(of: scan, in: table.own.range.id, end: end) { page in
            var changes: [(row: KeyedVersion, value: [UInt8]?)] = []
            for row in page.rows {
                guard let value = row.version.value else { continue }
                let stored = try RowCoding.decode(value, name: table.name)
                if RecordCoding.flags(of: stored)?.contains(.isAlive) != false { continue }
                var record = try RecordCoding.decode(stored, table.shape, name: table.name)
                if record.life.stamp.time <= forgettable {
                    changes.append((row, nil))
                } else if record.life.stamp.time <= strippable, record.strip() {
                    changes.append((row, try RecordCoding.encode(record, table.shape, name: table.name)))
                }
            }
            if !changes.isEmpty, try await !change(changes, end: end) { isComplete = false }
            return true
        }
        guard isComplete, strippable > .zero else { return }
        let note = Mutation(
            key: try table.cursorKey(of: table.own.copy.number, in: table.own),
            value: try ActiveTable.cursorValue(strippable))
        let request = CommitRequest(id: database.host.newRequestID(), preconditions: [], mutations: [note])
        _ = try await database.commit(table.own.range.id, request, end: end)
    }

    /// Changes rows that are still as they were seen.
    /// - Returns: `false` when somebody has written one of them: the next round looks again.
    private func change(_ changes: [(row: KeyedVersion, value: [UInt8]?)], end: Instant) async throws -> Bool {
        let request = CommitRequest(
            id: database.host.newRequestID(),
            preconditions: changes.map { .unchanged($0.row.key, since: $0.row.version.timestamp) },
            mutations: changes.map { Mutation(key: $0.row.key, value: $0.value) })
        do {
            _ = try await database.commit(table.own.range.id, request, end: end)
            return true
        } catch let error as MeridianError where error.code == .conflict {
            return false
        }
    }
}
