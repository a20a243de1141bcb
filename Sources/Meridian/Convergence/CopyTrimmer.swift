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
/// **Deletions.** A record of a deleted row must stay as long as an older state of the row can come from anywhere: it
/// would be taken for a new row, and the row would be back (Cassandra's zombies). No clock and no time of waiting can
/// tell that; so a copy looks. It takes three steps, and each when it has seen in every other copy in use that it has
/// taken the step before, of the very same deletion (`Record.Settlement`):
///
/// 1. *Strip.* All copies hold the same deletion. Whatever a copy writes from then on knows of it, so what the row had
///    counted and collected can only be added to a row made anew, which it must not be.
/// 2. *Mark as removable.* All have stripped it, and no outbox has anything of the row left, from which a new copy
///    would take it.
/// 3. *Remove.* All others say that it is removable, or have removed it. Had a copy removed it earlier, others could
///    not tell that from a copy that has not heard of it.
///
/// After that older states are only in the hands of pullers, and retired copies. A copy that removes a deletion notes
/// as of when it has looked at each other one, and takes no rows that were read there before
/// (`ForgottenDeletions`). A region that is cut off for long holds all this up: what is kept is bounded by the rows
/// that were written and deleted meanwhile, each once.
struct CopyTrimmer: Sendable {
    let database: Database
    let table: ActiveTable

    private static let batchCount = 1_000
    /// Up to when all other copies have what the own one has committed.
    /// - Returns: `nil` when copies have come or gone meanwhile.
    private func shipped(end: Instant) async throws -> Timestamp? {
        var shipped = try await database.readTimestamp(end: end)
        for copy in table.others {
            let key = try table.cursorKey(of: table.own.copy.number, in: copy)
            let result = try await database.read(copy.range.id, [.get(key)], at: nil, end: end)
            shipped = min(shipped, try ActiveTable.cursor(in: result.row(0)))
        }
        return try await current(end: end) == nil ? nil : shipped
    }

    /// The copies that there are now, if those in use are the ones that were looked at.
    private func current(end: Instant) async throws -> [TableCopy]? {
        let record = try await database.record(table.name, end: end)
        let known = ([table.own] + table.others).map(\.copy.number)
        return Set(record.copies.filter(\.isInUse).map(\.number)) == Set(known) ? record.copies : nil
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
        return try await shipped(end: end)
    }

    // MARK: Deletions

    /// A deletion that the own copy holds.
    private struct Deletion {
        var row: KeyedVersion
        var record: Record
    }

    /// What another copy holds of a row.
    private struct Elsewhere {
        var record: Record?
        var isInOutbox: Bool
    }

    func forgetDeletions(end: Instant) async throws {
        let span = table.span(of: .primary, in: table.own)
        let scan = ReadOperation.scan(span, limit: Database.page.rows, byteLimit: Database.page.bytes)
        try await database.visitPages(of: scan, in: table.own.range.id, end: end) { page in
            var deletions: [Deletion] = []
            for row in page.rows {
                guard let value = row.version.value else { continue }
                let stored = try RowCoding.decode(value, name: table.name)
                if RecordCoding.flags(of: stored)?.contains(.isAlive) != false { continue }
                let record = try RecordCoding.decode(stored, table.shape, name: table.name)
                deletions.append(Deletion(row: row, record: record))
            }
            for start in stride(from: 0, to: deletions.count, by: Self.batchCount) {
                try await settle(deletions[start..<min(start + Self.batchCount, deletions.count)], end: end)
            }
            return true
        }
    }

    private func settle(_ deletions: ArraySlice<Deletion>, end: Instant) async throws {
        var elsewhere = deletions.map { _ in [Elsewhere]() }
        var verified: [TableID: Timestamp] = [:]
        for copy in [table.own] + table.others {
            let keys = deletions.flatMap { deletion in
                [IndexID.primary, .outbox].map { table.key(of: deletion.row.key, index: $0, in: copy) }
            }
            let result = try await database.read(copy.range.id, keys.map { .get($0) }, at: nil, end: end)
            if copy.copy.number != table.own.copy.number { verified[copy.copy.number] = result.timestamp }
            for position in elsewhere.indices {
                let record = try result.row(2 * position)?.version.value.map {
                    try RecordCoding.decode($0, table.shape, name: table.name)
                }
                elsewhere[position].append(
                    Elsewhere(record: record, isInOutbox: result.row(2 * position + 1) != nil))
            }
        }
        guard let copies = try await current(end: end) else { return }
        let note = try table.forgottenKey()
        let found = try await database.read(table.own.range.id, [.get(note)], at: nil, end: end)
        var forgotten = try ForgottenDeletions(found.row(0))
        forgotten.verified = verified
        forgotten.newest = copies.map(\.number).max() ?? forgotten.newest
        var (settled, removed): ([(KeyedVersion, [UInt8]?)], [(KeyedVersion, [UInt8]?)]) = ([], [])
        for (deletion, copies) in zip(deletions, elsewhere) {
            switch Self.next(deletion.record, copies) {
            case .stay: continue
            case .settle(let settlement):
                var record = deletion.record
                guard record.settle(settlement) else { continue }
                settled.append((deletion.row, try RecordCoding.encode(record, table.shape, name: table.name)))
            case .remove:
                removed.append((deletion.row, nil))
                forgotten.number = max(forgotten.number, deletion.record.seen[table.origin])
            }
        }
        if !settled.isEmpty { _ = try await change(settled, end: end) }
        guard !removed.isEmpty else { return }
        _ = try await change(
            removed, since: found.timestamp, note: Mutation(key: note, value: try forgotten.encoded()), end: end)
    }

    private enum Step {
        case stay
        case settle(Record.Settlement)
        case remove
    }

    /// - Parameter copies: what all copies hold, the own one first.
    private static func next(_ own: Record, _ copies: [Elsewhere]) -> Step {
        if Planted.isOn(.deletionsForgottenAtOnce) { return .remove }
        // The same deletion, of those who have seen the same.
        let records = copies.map { copy in
            copy.record.flatMap { $0.life.stamp == own.life.stamp && $0.seen == own.seen ? $0 : nil }
        }
        // Somebody has seen that all were as far.
        let reached = records.compactMap { $0?.life.settled }.max() ?? .open
        let all = records.allSatisfy { $0 != nil } ? records.compactMap { $0?.life.settled }.min() : nil
        switch own.life.settled {
        case .open:
            if reached > .open { return .settle(.stripped) }
            return all != nil && records.allSatisfy { $0?.cells == own.cells } ? .settle(.stripped) : .stay
        case .stripped:
            if reached == .removable { return .settle(.removable) }
            return all == .stripped && copies.allSatisfy { !$0.isInOutbox } ? .settle(.removable) : .stay
        case .removable:
            let isEverywhere = copies.allSatisfy { copy in
                copy.record.map { $0.life.stamp == own.life.stamp && $0.life.settled == .removable } ?? true
            }
            return isEverywhere ? .remove : .stay
        }
    }

    /// Changes rows that are still as they were seen.
    /// - Parameters:
    ///   - note: what is written with them, if nobody has written it since `since`.
    /// - Returns: `false` when somebody has written one of them: the next round looks again.
    private func change(
        _ changes: [(row: KeyedVersion, value: [UInt8]?)], since: Timestamp = .zero, note: Mutation? = nil, end: Instant
    ) async throws -> Bool {
        var request = CommitRequest(
            id: database.host.newRequestID(),
            preconditions: changes.map { .unchanged($0.row.key, since: $0.row.version.timestamp) },
            mutations: changes.map { Mutation(key: $0.row.key, value: $0.value) })
        if let note {
            request.preconditions.append(.unchanged(note.key, since: since))
            request.mutations.append(note)
        }
        do {
            _ = try await database.commit(table.own.range.id, request, end: end)
            return true
        } catch let error as MeridianError where error.code == .conflict {
            return false
        }
    }
}
