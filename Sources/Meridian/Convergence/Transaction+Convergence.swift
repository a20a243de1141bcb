import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Writes to active-active tables: each reads the record in the client's own copy, deletions included, and leaves there
/// what it has become, and the same in the copy's *outbox*, the span from which the other copies pull. A row stands in
/// the outbox once, with its latest state, so it is no longer than the table.
extension Transaction {
    /// What a write expects to find.
    enum Expectation {
        case absent
        case present
        case either
    }

    func converge(_ target: Target, expecting expectation: Expectation) async throws {
        try await change(target.keyValues, target.resolved, target.range, target.key) { found, shape, now in
            try Self.check(found.record, expectation, target.resolved.name)
            return try Record(
                writing: target.values, over: found.record, shape, by: target.resolved.origin(of: target.range),
                at: now, numberedAbove: found.number, erasedAt: found.erasure, name: target.resolved.name)
        }
    }

    func convergeDeletion(_ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor, _ stored: Key) async throws
    {
        try await change(key, table, range, stored) { found, _, now in
            try Self.check(found.record, .present, table.name)
            var record = found.record!
            record.delete(by: table.origin(of: range), at: now, numberedAbove: found.number)
            return record
        }
    }

    /// What a copy knows of a row that is to be written.
    private struct Known {
        /// `nil` also where it is of before the erasure.
        var record: Record?
        /// Above which number a write is to be counted (`ForgottenDeletions`).
        var number: UInt64 = 0
        /// When the row was last erased; zero if never.
        var erasure = Timestamp.zero
    }

    private static func check(
        _ record: Record?, _ expectation: Expectation, _ name: String
    ) throws(MeridianError) {
        switch expectation {
        case .absent where record?.isAlive == true:
            throw MeridianError(
                .duplicateKey, "table \(name): a row with this key exists; update it, or insert under another key")
        case .present where record?.isAlive != true: throw Target.missing(name)
        default: return
        }
    }

    private func change(
        _ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor, _ stored: Key,
        _ body: (Known, RecordShape, Timestamp) throws -> Record
    ) async throws {
        guard let shape = table.shape else { preconditionFailure("table \(table.name) is not active-active") }
        let outbox = try table.key(key, index: .outbox, in: range)
        let scope = scope
        while true {
            let mark = buffer.withLock(\.mark)
            let found = try await known(at: stored, table, range, shape)
            let changed = try RecordCoding.encode(
                try body(found, shape, try await readTimestamp()), shape, name: table.name)
            // A child task of the closure may have written it meanwhile.
            let isDone = try buffer.withLock { buffer in
                if buffer.isWritten(stored, since: mark, from: scope) { return false }
                let drafts = [stored, outbox].map { WriteBuffer.Draft(key: $0, value: changed, range: range) }
                try buffer.write(drafts, table: table.name, from: scope)
                return true
            }
            if isDone { return }
        }
    }

    /// What this transaction sees of a row, whether it is there or was deleted.
    private func known(
        at stored: Key, _ table: ResolvedTable, _ range: RangeDescriptor, _ shape: RecordShape
    ) async throws -> Known {
        let scope = scope
        let own = try buffer.withLock { buffer in
            try buffer.touch(range, table: table.name)
            return try buffer.look(at: stored, from: scope)
        }
        if let own {
            let record = try own.value.map { try RecordCoding.decode($0, shape, name: table.name) }
            return Known(record: record, erasure: record?.erasure ?? .zero)
        }
        let timestamp = try await readTimestamp()
        let mark = try table.markKey(of: stored, in: range, seal: database.host.seal)
        let keys = [stored, mark, try table.forgottenKey(in: range)]
        let result = try await database.read(range.id, keys.map { .get($0) }, at: timestamp, end: deadline)
        try buffer.withLock {
            for key in [stored, mark] {
                try $0.note(.unchanged(key, since: timestamp), in: range, table: table.name, from: scope)
            }
        }
        let erasure = try ActiveTable.cursor(in: result.row(1))
        let record = try result.row(0)?.version.value.map { try RecordCoding.decode($0, shape, name: table.name) }
        return Known(
            record: record.flatMap { $0.erasure < erasure ? nil : $0 },
            number: try ForgottenDeletions(result.row(2)).number, erasure: erasure)
    }
}

extension ResolvedTable {
    /// The name of a copy's writes.
    func origin(of range: RangeDescriptor) -> Origin { Origin(keyTable(of: range).rawValue) }
}
