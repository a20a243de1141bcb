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
        try await change(target.keyValues, target.resolved, target.range, target.key) { record, shape, now in
            try Self.check(record, expectation, target.resolved.name)
            return try Record(
                writing: target.values, over: record, shape, by: target.resolved.origin(of: target.range), at: now,
                name: target.resolved.name)
        }
    }

    func convergeDeletion(_ key: [Value], _ table: ResolvedTable, _ range: RangeDescriptor, _ stored: Key) async throws
    {
        try await change(key, table, range, stored) { record, _, now in
            try Self.check(record, .present, table.name)
            var record = record!
            record.delete(by: table.origin(of: range), at: now)
            return record
        }
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
        _ body: (Record?, RecordShape, Timestamp) throws -> Record
    ) async throws {
        guard let shape = table.shape else { preconditionFailure("table \(table.name) is not active-active") }
        let outbox = try table.key(key, index: .outbox, in: range)
        let registrar = try touchRegistrar(of: table, besides: range)
        let scope = scope
        while true {
            let mark = buffer.withLock(\.mark)
            let found = try await recordBytes(at: stored, table, range)
            let record = try found.map { try RecordCoding.decode($0, shape, name: table.name) }
            let changed = try RecordCoding.encode(
                try body(record, shape, try await readTimestamp()), shape, name: table.name)
            // A child task of the closure may have written it meanwhile.
            let isDone = try buffer.withLock { buffer in
                if buffer.isWritten(stored, since: mark, from: scope) { return false }
                var drafts = [stored, outbox].map { WriteBuffer.Draft(key: $0, value: changed, range: range) }
                if let registrar { drafts.append(.init(key: registrar.note, value: nil, range: registrar.range)) }
                try buffer.write(drafts, table: table.name, from: scope)
                return true
            }
            if isDone { return }
        }
    }

    /// The record under a key as this transaction sees it, whether the row is there or was deleted.
    private func recordBytes(
        at stored: Key, _ table: ResolvedTable, _ range: RangeDescriptor
    ) async throws -> [UInt8]? {
        let scope = scope
        let own = try buffer.withLock { buffer in
            try buffer.touch(range, table: table.name)
            return try buffer.look(at: stored, from: scope)
        }
        if let own { return own.value }
        let timestamp = try await readTimestamp()
        let result = try await database.read(range.id, [.get(stored)], at: timestamp, end: deadline)
        try buffer.withLock {
            try $0.note(.unchanged(stored, since: timestamp), in: range, table: table.name, from: scope)
        }
        return result.row(0)?.version.value
    }
}

/// **Requests that a client has named** must happen once in the whole table, though each copy takes writes alone, and
/// the call that repeats the name can come through another region. What a copy has taken reaches the others later than
/// it is acknowledged, so no memory that travels with the rows can be asked in time. Therefore the copy with the lowest
/// number is the *registrar*: every write under a client's name takes part in it too, as a commit of both ranges, and a
/// repetition through any region finds there what has become of the first (`Evaluation`). It writes nothing there but a
/// deletion of what never was, which no read shows.
///
/// That is the price of the name: such a write is as far and as available as the registrar. Writes without one need
/// their own copy alone.
///
/// HAZARD: who retires the registrar while calls of one name are under way lets the later ones ask another one.
extension Transaction {
    /// - Returns: where the write notes its name; `nil` where its own copy is enough.
    private func touchRegistrar(
        of table: ResolvedTable, besides own: RangeDescriptor
    ) throws -> (range: RangeDescriptor, note: Key)? {
        guard let named, let registrar = table.registrar, registrar.id != own.id,
            !Planted.isOn(.namedWriteUnregistered)
        else { return nil }
        try buffer.withLock { try $0.touch(registrar, table: table.name) }
        var bytes = KeyEncoder.prefix(
            table: table.keyTable(of: registrar), index: .requests, region: registrar.partition)
        for half in [named.high, named.low] {
            withUnsafeBytes(of: half.bigEndian) { bytes.append(contentsOf: $0) }
        }
        return (registrar, Key(bytes))
    }
}

extension ResolvedTable {
    /// The copy that knows of all requests that clients have named.
    fileprivate var registrar: RangeDescriptor? {
        let first = record.copies.filter { $0.state == .active }.min { $0.number < $1.number }
        return first.flatMap { first in record.ranges.first { $0.id == first.range } }
    }

    /// The name of a copy's writes.
    func origin(of range: RangeDescriptor) -> Origin { Origin(keyTable(of: range).rawValue) }
}
