import MeridianConvergence
import MeridianCore
import MeridianReplica

/// Takes records of another copy into the own one.
///
/// Records are merged in batches: each reads what the own copy has, joins, and commits what has changed under the
/// condition that it is still as it was read; a local write in between makes the batch read again. All of a batch is
/// one entry of the range's log. Merged rows are not put into the outbox: every copy pulls from where a write was made,
/// so each write crosses each link once.
struct CopyMerge: Sendable {
    let database: Database
    let table: ActiveTable
    /// Where the records come from.
    let source: ActiveTable.Copy

    private static let batchCount = 500
    private static let concurrency = 4

    /// - Parameters:
    ///   - rows: by keys of the source.
    ///   - timestamp: as of when the source's leaseholder has read them.
    ///   - cursor: up to where all of the source is in the own copy afterwards.
    /// - Throws: `.conflict` when the own copy has forgotten deletions since the rows were read: read them again.
    func take(_ rows: [KeyedVersion], readAt timestamp: Timestamp, cursor: Timestamp?, end: Instant) async throws {
        let batches = stride(from: 0, to: rows.count, by: Self.batchCount).map {
            rows[$0..<min($0 + Self.batchCount, rows.count)]
        }
        guard batches.count > 1 else {
            try await merge(batches.first ?? [], readAt: timestamp, cursor: cursor, end: end)
            return
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, batch) in batches.enumerated() {
                if position >= Self.concurrency { try await group.next() }
                group.addTask { try await merge(batch, readAt: timestamp, cursor: nil, end: end) }
            }
            try await group.waitForAll()
        }
        if let cursor { try await merge([], readAt: timestamp, cursor: cursor, end: end) }
    }

    private func merge(
        _ rows: ArraySlice<KeyedVersion>, readAt timestamp: Timestamp, cursor: Timestamp?, end: Instant
    ) async throws {
        let keys = rows.map { table.ownKey(of: $0.key, in: source) }
        let marks = try keys.map { try table.markKey(of: $0, seal: database.host.seal) }
        let note = try table.forgottenKey()
        while true {
            let found = try await database.read(
                table.own.range.id, (keys + marks + [note]).map { .get($0) }, at: nil, end: end)
            let forgotten = try ForgottenDeletions(found.row(keys.count + marks.count))
            guard rows.isEmpty || forgotten.admits(rowsOf: source.copy.number, readAt: timestamp) else {
                throw MeridianError(
                    .conflict, "table \(table.name): rows of another copy were read before deletions were forgotten",
                    retry: .immediately)
            }
            if try await erase(rows, keys, marks.indices.map { found.row(keys.count + $0) }, end: end) { continue }
            var request = CommitRequest(id: database.host.newRequestID(), preconditions: [], mutations: [])
            for (position, row) in rows.enumerated() {
                guard let incoming = row.version.value else { continue }
                let own = found.row(position)?.version.value
                let mark = try ActiveTable.cursor(in: found.row(keys.count + position))
                try join(
                    own, incoming, keys[position], marks[position], erasedAt: mark, since: found.timestamp, &request)
            }
            if let cursor {
                request.mutations.append(
                    Mutation(
                        key: try table.cursorKey(of: source.copy.number, in: table.own),
                        value: try ActiveTable.cursorValue(cursor)))
            }
            guard !request.mutations.isEmpty else { return }
            do {
                _ = try await database.commit(table.own.range.id, request, end: end)
                return
            } catch let error as MeridianError where error.code == .conflict && database.host.now < end {
                await database.host.pause(for: .milliseconds(Int(database.host.randomNumber() % 5) + 1))
            }
        }
    }

    /// What was erased elsewhere and written anew arrives before its mark has: the erasure is carried out first, so
    /// that nothing of before is left under what is new.
    /// - Returns: whether there was such a row.
    private func erase(
        _ rows: ArraySlice<KeyedVersion>, _ keys: [Key], _ marks: [KeyedVersion?], end: Instant
    ) async throws -> Bool {
        var isErased = false
        for (row, (key, mark)) in zip(rows, zip(keys, marks)) {
            guard let value = row.version.value else { continue }
            let erasure = try RecordCoding.erasure(of: value, name: table.name)
            guard try ActiveTable.cursor(in: mark) < erasure else { continue }
            try await table.erasure(database).erase([key], at: erasure, end: end)
            isErased = true
        }
        return isErased
    }

    private func join(
        _ own: [UInt8]?, _ incoming: [UInt8], _ key: Key, _ markKey: Key, erasedAt mark: Timestamp,
        since timestamp: Timestamp, _ request: inout CommitRequest
    ) throws(MeridianError) {
        let outcome = try RecordJoin.join(own, incoming, erasedAt: mark, table.shape, name: table.name)
        guard let stored = outcome.stored else { return }
        request.preconditions += [.unchanged(key, since: timestamp), .unchanged(markKey, since: timestamp)]
        request.mutations.append(Mutation(key: key, value: stored))
        for conflict in outcome.conflicts where !Planted.isOn(.conflictUnrecorded) {
            request.mutations.append(
                Mutation(
                    key: try table.conflictKey(conflict, of: key),
                    value: try ConflictCoding.encode(conflict, name: table.name)))
        }
    }
}
