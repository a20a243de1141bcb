import MeridianCore
import Synchronization

/// Sending and receiving snapshots.
extension SQLiteStateStore {
    /// The picture is a read transaction on a connection of its own (Linux distributions build SQLite without its
    /// snapshot API). While it is open, checkpoints cannot start the write-ahead log over, so it grows: close it soon.
    package func openSnapshot(of range: RangeID, span: KeySpan) throws -> any SnapshotReader {
        try loadIfNeeded()
        try file.withLock { _ = try flush($0) }
        let source = try SQLiteVersionSource(connection: openReader(), span: span)
        let (state, outcomes) = try source.begin(range)
        guard let state else {
            source.close()
            throw MeridianError(.unavailable, "state.sqlite: no replica of \(range) to take a snapshot of")
        }
        let horizon = requests.horizon(closed: state.forgetting)
        return ChunkedSnapshot(
            state: state, source: source, requests: outcomes.filter { $0.applied.timestamp > horizon })
    }

    package func receiveSnapshot(
        of range: RangeID, span: KeySpan, state: AppliedState
    ) throws -> any SnapshotWriter {
        try loadIfNeeded()
        let number = file.withLock { file in
            defer { file.nextStaging += 1 }
            return file.nextStaging
        }
        let staging = try SnapshotStaging(directory: directory, number: number)
        return SnapshotReceiver(staging: staging) { [self] received in
            if let applied = recent.withLock({ $0.states[range]?.position }), state.position.isPassed(by: applied) {
                return .passed(applied)
            }
            // Before the rows, for those who read beside.
            recent.withLock { $0.arriving[range] = state.threshold }
            defer { recent.withLock { $0.arriving[range] = nil } }
            let (outcomes, digest) = try file.withLock { file in
                try flush(file)
                return try noteFailure(file) { try file.install(received, range, span, state) }
            }
            recent.withLock { recent in
                recent.states[range] = state
                recent.books.replace(range, by: digest)
            }
            requests.replace(outcomes, in: range, closed: state.forgetting)
            return .installed
        }
    }
}

extension StateFile {
    /// Replaces a range's rows, durably in one step: the commit itself syncs. The log may be reset right afterwards.
    fileprivate func install(
        _ received: SnapshotReceiver, _ range: RangeID, _ span: KeySpan, _ state: AppliedState
    ) throws -> ([RequestMemory.Outcome], RangeDigest) {
        var digest = RangeDigest()
        var outcomes: [RequestMemory.Outcome] = []
        var row: RequestRow?
        try connection.durableTransaction {
            try clear(range, span)
            try received.decode(
                in: span,
                version: { key, timestamp, value in
                    try key.withUnsafeBytes { key in
                        guard let value else {
                            digest.add(RangeDigest.hash(key, timestamp.rawValue, nil, in: range))
                            return try put(key, timestamp, nil)
                        }
                        try value.withUnsafeBytes {
                            digest.add(RangeDigest.hash(key, timestamp.rawValue, $0, in: range))
                            try put(key, timestamp, $0)
                        }
                    }
                },
                outcome: { outcomes.append($0) })
            if !outcomes.isEmpty { row = try put(outcomes, of: range, sequence: nextRequestSequence) }
            try put(state, digest, of: range)
        }
        requestRows[range] = row.map { [$0] }
        if row != nil { nextRequestSequence += 1 }
        return (outcomes, digest)
    }
}

/// A picture of a span in a read transaction.
final class SQLiteVersionSource: VersionSource {
    private let connection: StoreConnection
    private let span: KeySpan
    private let restOfChain: SQLiteStatement
    private let following: SQLiteStatement

    init(connection: StoreConnection, span: KeySpan) throws {
        self.connection = connection
        self.span = span
        let columns = "SELECT key, timestamp, value, checksum FROM versions"
        restOfChain = try connection.prepare(
            "read a snapshot", "\(columns) WHERE key = ? AND timestamp < ? ORDER BY timestamp DESC")
        following = try connection.prepare(
            "read a snapshot", "\(columns) WHERE key >= ? ORDER BY key, timestamp DESC")
    }

    /// Takes the picture: SQLite does so at the transaction's first read.
    func begin(_ range: RangeID) throws -> (AppliedState?, [RequestMemory.Outcome]) {
        let readRange = try connection.prepare("read a snapshot", "SELECT * FROM ranges WHERE range_id = ?")
        let readRequests = try connection.prepare(
            "read a snapshot", "SELECT * FROM requests WHERE range_id = ? ORDER BY sequence")
        return try connection.perform {
            try connection.execute("BEGIN")
            readRange.bind(1, range.rawValue)
            defer { readRange.reset() }
            guard try readRange.step() else { return (nil, []) }
            let state = try StateFile.state(in: readRange).1.state
            readRequests.bind(1, range.rawValue)
            defer { readRequests.reset() }
            var outcomes: [RequestMemory.Outcome] = []
            while try readRequests.step() { outcomes += try StateFile.outcomes(in: readRequests).2 }
            return (state, outcomes)
        }
    }

    func versions(
        after position: VersionPosition?,
        _ visit: (UnsafeRawBufferPointer, Int64, UnsafeRawBufferPointer?, UInt32) throws -> Bool
    ) throws {
        try connection.perform {
            guard let position else {
                _ = try span.lower.bytes.withUnsafeBytes { try step(following, $0, nil, visit) }
                return
            }
            let goesOn = try position.key.withUnsafeBytes { try step(restOfChain, $0, position.timestamp, visit) }
            guard goesOn else { return }
            _ = try (position.key + [0]).withUnsafeBytes { try step(following, $0, nil, visit) }
        }
    }

    private func step(
        _ statement: SQLiteStatement, _ key: UnsafeRawBufferPointer, _ timestamp: Int64?,
        _ visit: (UnsafeRawBufferPointer, Int64, UnsafeRawBufferPointer?, UInt32) throws -> Bool
    ) throws -> Bool {
        statement.bind(1, key)
        if let timestamp { statement.bind(2, timestamp) }
        defer { statement.reset() }
        while try statement.step() {
            let key = statement.blob(0)
            if let upper = span.upper, Key([UInt8](key)) >= upper { return false }
            let timestamp = statement.integer(1)
            let value = statement.isNull(2) ? nil : statement.blob(2)
            let checksum = VersionCoding.checksum(key, timestamp, value)
            guard statement.integer(3) == Int64(checksum) else {
                throw MeridianError(
                    .corruption, "state.sqlite: versions: a version at \(Timestamp(rawValue: timestamp))")
            }
            if try !visit(key, timestamp, value, checksum) { return false }
        }
        return true
    }

    func close() { try? connection.close() }
}
