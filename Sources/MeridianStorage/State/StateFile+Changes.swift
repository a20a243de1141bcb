import MeridianCore

/// The table `changes`: the versions of outboxes once more, by time, so that whoever pulls them need not go through all
/// rows. It holds exactly the timestamps and keys of those rows of `versions`.
///
/// An index of SQLite's over `versions`, partial as it may be, costs every write a condition and a savepoint: 18 % more
/// instructions, for rows that are not in it, too. So what writes and deletes versions keeps this table itself.
extension StateFile {
    func noteChange(_ key: UnsafeRawBufferPointer, _ timestamp: Int64) throws {
        guard key.isOfOutbox else { return }
        putChange.bind(1, timestamp)
        putChange.bind(2, key)
        try putChange.run()
    }

    /// One version goes.
    func forgetChange(_ key: UnsafeRawBufferPointer, _ timestamp: Int64) throws {
        guard key.isOfOutbox else { return }
        deleteChange.bind(1, timestamp)
        deleteChange.bind(2, key)
        try deleteChange.run()
    }

    /// Versions of a key go; they must still be there.
    func forgetChanges(_ key: UnsafeRawBufferPointer, through timestamp: Timestamp) throws {
        guard key.isOfOutbox else { return }
        eraseChanges.bind(1, key)
        eraseChanges.bind(2, timestamp.rawValue)
        try eraseChanges.run()
    }
}

/// Changed rows of an outbox, in one read transaction: what is found newer of a key must be of the same picture.
final class ChangesReader {
    /// What reads the table, in its order.
    static let query =
        "SELECT timestamp, key FROM changes WHERE timestamp > ? AND timestamp <= ? ORDER BY timestamp, key"

    private let begin: SQLiteStatement
    private let end: SQLiteStatement
    private let changes: SQLiteStatement

    init(_ connection: StoreConnection) throws {
        begin = try connection.prepare("read changes", "BEGIN")
        end = try connection.prepare("read changes", "COMMIT")
        changes = try connection.prepare("read changes", Self.query)
    }

    /// Fills a page with the rows of the file and `recent` ones, which have been looked up before.
    /// - Parameters:
    ///   - recent: newest recent versions at or below `timestamp`, by key.
    ///   - find: the newest version of a key in the file at or below `timestamp`.
    func fill(
        _ page: inout ChangesPageBuilder, _ span: KeySpan, since: Timestamp, at timestamp: Timestamp,
        recent: [Key: Version], find: (Key) throws -> Version?
    ) throws {
        try begin.run()
        defer { try? end.run() }
        changes.bind(1, since.rawValue)
        changes.bind(2, timestamp.rawValue)
        defer { changes.reset() }
        var pending = recent.lazy.filter { $1.timestamp > since }.map { KeyedVersion(key: $0, version: $1) }
            .inOrderOfChange[...]
        while try changes.step() {
            let key = Key([UInt8](changes.blob(1)))
            let changed = Timestamp(rawValue: changes.integer(0))
            guard span.contains(key) else { continue }
            while let row = pending.first, (row.version.timestamp, row.key) < (changed, key) {
                guard page.take(row) else { return }
                pending.removeFirst()
            }
            guard page.hasRoom(at: changed) else { return }
            if let newer = recent[key], newer.timestamp >= changed { continue }
            guard let stored = try find(key), stored.timestamp >= changed else {
                throw MeridianError(.corruption, "state.sqlite: changes: no version at \(changed)")
            }
            guard stored.timestamp == changed else { continue }
            guard page.take(KeyedVersion(key: key, version: stored)) else { return }
        }
        for row in pending where !page.take(row) { return }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are the key of an outbox: the index follows the table's four bytes (`KeyEncoder`).
    @inline(__always)
    var isOfOutbox: Bool { count > 4 && self[4] == IndexID.outbox.rawValue }
}

extension KeySpan {
    /// Whether all its keys are of one outbox.
    var isOfOutbox: Bool {
        guard lower.bytes.withUnsafeBytes(\.isOfOutbox), let upper else { return false }
        return KeySpan(prefix: Array(lower.bytes[..<5])).upper.map { upper <= $0 } ?? false
    }
}
