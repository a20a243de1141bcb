import MeridianCore

/// Reads versions through a connection of its own, so that it runs beside the writer, and what is not in the file yet
/// from memory. Every call sees all that was applied before it: it looks into the file after it has looked into memory.
///
/// Used by one thread at a time.
final class SQLiteStateReader: StateReader {
    /// How many versions of one key are stepped over before seeking past them is cheaper.
    static let stepsBeforeSeek = 8

    private let connection: StoreConnection
    private let recent: RecentState
    private let requests: RequestMemory
    private let point: SQLiteStatement
    private let newest: SQLiteStatement
    private let range: SQLiteStatement
    private let changes: ChangesReader

    init(connection: StoreConnection, recent: RecentState, requests: RequestMemory) throws {
        self.connection = connection
        self.recent = recent
        self.requests = requests
        point = try connection.prepare(
            "read",
            """
            SELECT timestamp, value, checksum FROM versions WHERE key = ? AND timestamp <= ? \
            ORDER BY timestamp DESC LIMIT 1
            """)
        newest = try connection.prepare("read", "SELECT timestamp FROM versions WHERE key = ? LIMIT 1")
        range = try connection.prepare(
            "scan",
            "SELECT key, timestamp, value, checksum FROM versions WHERE key >= ? ORDER BY key, timestamp DESC")
        changes = try ChangesReader(connection)
        try connection.prepareReading()
    }

    func read(_ key: Key, at timestamp: Timestamp) throws -> Version? {
        // What is not in the file yet is newer than what is: a key's versions are applied in the order of their times.
        if let fresh = recent.version(of: key, at: timestamp) { return fresh }
        return try connection.perform { try find(key, timestamp) }
    }

    func read(_ keys: [Key], at timestamp: Timestamp) throws -> [Version?] {
        if keys.count == 1 { return [try read(keys[0], at: timestamp)] }
        var versions = recent.versions(of: keys, at: timestamp)
        guard versions.contains(where: { $0 == nil }) else { return versions }
        try connection.reading {
            for position in versions.indices where versions[position] == nil {
                versions[position] = try find(keys[position], timestamp)
            }
        }
        return versions
    }

    private func find(_ key: Key, _ timestamp: Timestamp) throws -> Version? {
        try key.bytes.withUnsafeBytes { bytes in
            point.bind(1, bytes)
            point.bind(2, timestamp.rawValue)
            defer { point.reset() }
            guard try point.step() else { return nil }
            return try point.version(of: bytes, timestamp: 0, value: 1, checksum: 2)
        }
    }

    func scan(_ span: KeySpan, at timestamp: Timestamp, limit: Int, byteLimit: Int) throws -> Page {
        var builder = PageBuilder(span, limit: limit, byteLimit: byteLimit)
        try visit(span, at: timestamp) { key, version in
            version.value == nil || builder.take(key, version)
        }
        return builder.page
    }

    func changes(
        in span: KeySpan, since: Timestamp, at timestamp: Timestamp, limit: Int, byteLimit: Int
    ) throws -> Page {
        var builder = ChangesPageBuilder(limit: limit, byteLimit: byteLimit)
        guard span.isOfOutbox else {
            var changed: [KeyedVersion] = []
            try visit(span, at: timestamp) { key, version in
                if version.timestamp > since { changed.append(KeyedVersion(key: key, version: version)) }
                return true
            }
            for row in changed.inOrderOfChange where !builder.take(row) { break }
            return builder.page
        }
        let fresh = recent.newest(in: span, at: timestamp)
        try connection.perform {
            try changes.fill(&builder, span, since: since, at: timestamp, recent: fresh) { try find($0, timestamp) }
        }
        return builder.page
    }

    func newest(in span: KeySpan, since: Timestamp, limit: Int, byteLimit: Int) throws -> Page {
        var builder = PageBuilder(span, limit: limit, byteLimit: byteLimit)
        try visit(span, at: .distantFuture) { key, version in
            version.timestamp <= since || builder.take(key, version)
        }
        return builder.page
    }

    /// Visits the newest version at or below `timestamp` of each key of a span, deletions included, in key order, until
    /// the visitor returns false.
    private func visit(_ span: KeySpan, at timestamp: Timestamp, _ visitor: (Key, Version) throws -> Bool) throws {
        var recentRows = recent.rows(in: span, at: timestamp)
        /// Visits the recent rows before a key, or all.
        func visitRecent(before key: Key?) throws -> Bool {
            while let row = recentRows.next, key.map({ row.key < $0 }) ?? true {
                if try !visitor(row.key, row.version) { return false }
                recentRows.advance()
            }
            return true
        }
        /// Visits the version that is visible in the file, or the recent one of the same key if that is newer.
        func merge(_ key: Key, _ version: Version) throws -> Step {
            var version = version
            if let row = recentRows.next, row.key == key {
                recentRows.advance()
                if row.version.timestamp >= version.timestamp { version = row.version }
            }
            return try visitor(key, version) ? .nextKey : .stop
        }
        let isComplete = try connection.perform {
            try walk(span) { key, row, position in
                if position == 0, try !visitRecent(before: key) { return .stop }
                if row.integer(1) <= timestamp.rawValue {
                    return try merge(
                        key,
                        try key.bytes.withUnsafeBytes {
                            try row.version(of: $0, timestamp: 1, value: 2, checksum: 3)
                        })
                }
                guard position == Self.stepsBeforeSeek else { return .nextVersion }
                return try find(key, timestamp).map { try merge(key, $0) } ?? .nextKey
            }
        }
        if isComplete { _ = try visitRecent(before: nil) }
    }

    func latestTimestamp(in span: KeySpan) throws -> Timestamp? {
        var latest = recent.latestTimestamp(in: span)
        try connection.perform {
            if let upper = span.upper, upper == span.lower.successor {
                try span.lower.bytes.withUnsafeBytes { bytes in
                    newest.bind(1, bytes)
                    defer { newest.reset() }
                    guard try newest.step() else { return }
                    let stored = Timestamp(rawValue: newest.integer(0))
                    latest = max(latest ?? stored, stored)
                }
                return
            }
            _ = try walk(span) { _, row, _ in
                let timestamp = Timestamp(rawValue: row.integer(1))
                latest = max(latest ?? timestamp, timestamp)
                return .nextKey
            }
        }
        return latest
    }

    func threshold(of range: RangeID) -> Timestamp { recent.threshold(of: range) }

    func outcome(of request: RequestID, in range: RangeID) throws -> AppliedRequest? {
        requests.outcome(of: request, in: range)
    }

    private enum Step { case nextVersion, nextKey, stop }

    /// Visits the versions of the span, by key and from the newest to the oldest, as long as the visitor wants more of
    /// a key or of the span. It is told how many versions of the key came before.
    /// - Returns: whether the span's end was reached.
    private func walk(_ span: KeySpan, _ visit: (Key, SQLiteStatement, Int) throws -> Step) throws -> Bool {
        var lower = span.lower
        while true {
            var key = Key([])
            var isFirst = true
            var position = 0
            var isSkipping = false
            let end: Bool? = try lower.bytes.withUnsafeBytes { bytes in
                range.bind(1, bytes)
                defer { range.reset() }
                while try range.step() {
                    let found = range.blob(0)
                    if isFirst || !found.hasSameBytes(as: key.bytes) {
                        key = Key([UInt8](found))
                        isFirst = false
                        position = 0
                        isSkipping = false
                        if let upper = span.upper, key >= upper { return true }
                    } else {
                        position += 1
                    }
                    if isSkipping {
                        if position >= Self.stepsBeforeSeek { return nil }
                        continue
                    }
                    switch try visit(key, range, position) {
                    case .nextVersion: break
                    case .nextKey: isSkipping = true
                    case .stop: return false
                    }
                }
                return true
            }
            if let end { return end }
            lower = key.successor
        }
    }
}

extension SQLiteStatement {
    /// The version in the current row, its checksum verified.
    func version(
        of key: UnsafeRawBufferPointer, timestamp: Int32, value: Int32, checksum: Int32
    ) throws -> Version {
        let stamp = integer(timestamp)
        let bytes = isNull(value) ? nil : blob(value)
        guard integer(checksum) == Int64(VersionCoding.checksum(key, stamp, bytes)) else {
            throw MeridianError(.corruption, "state.sqlite: versions: a version at \(Timestamp(rawValue: stamp))")
        }
        return Version(timestamp: Timestamp(rawValue: stamp), value: bytes.map { [UInt8]($0) })
    }
}
