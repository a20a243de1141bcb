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
    /// Whether a deletion of a row that is not known here is passed over: it was forgotten by all.
    var ignoresUnknownDeletions = false

    private static let batchCount = 500
    private static let concurrency = 4

    /// - Parameters:
    ///   - rows: by keys of the source.
    ///   - cursor: up to where all of the source is in the own copy afterwards.
    func take(_ rows: [KeyedVersion], cursor: Timestamp?, end: Instant) async throws {
        let batches = stride(from: 0, to: rows.count, by: Self.batchCount).map {
            rows[$0..<min($0 + Self.batchCount, rows.count)]
        }
        guard batches.count > 1 else {
            try await merge(batches.first ?? [], cursor: cursor, end: end)
            return
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, batch) in batches.enumerated() {
                if position >= Self.concurrency { try await group.next() }
                group.addTask { try await merge(batch, cursor: nil, end: end) }
            }
            try await group.waitForAll()
        }
        if let cursor { try await merge([], cursor: cursor, end: end) }
    }

    private func merge(_ rows: ArraySlice<KeyedVersion>, cursor: Timestamp?, end: Instant) async throws {
        let keys = rows.map { table.ownKey(of: $0.key, in: source) }
        while true {
            let found = try await database.read(table.own.range.id, keys.map { .get($0) }, at: nil, end: end)
            var request = CommitRequest(id: database.host.newRequestID(), preconditions: [], mutations: [])
            for (position, row) in rows.enumerated() {
                guard let incoming = row.version.value else { continue }
                let own = found.row(position)?.version.value
                try join(own, incoming, keys[position], since: found.timestamp, &request)
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

    private func join(
        _ own: [UInt8]?, _ incoming: [UInt8], _ key: Key, since timestamp: Timestamp, _ request: inout CommitRequest
    ) throws(MeridianError) {
        if own == nil, ignoresUnknownDeletions {
            let record = try RecordCoding.decode(incoming, table.shape, name: table.name)
            if !record.isAlive { return }
        }
        let outcome = try RecordJoin.join(own, incoming, table.shape, name: table.name)
        guard let stored = outcome.stored else { return }
        request.preconditions.append(.unchanged(key, since: timestamp))
        request.mutations.append(Mutation(key: key, value: stored))
        for conflict in outcome.conflicts where !Planted.isOn(.conflictUnrecorded) {
            request.mutations.append(
                Mutation(
                    key: try table.conflictKey(conflict, of: key),
                    value: try ConflictCoding.encode(conflict, name: table.name)))
        }
    }
}
