import MeridianCore
import Synchronization

/// Removing versions that nobody can see any more, and replicas that are gone.
extension SQLiteStateStore {
    /// Versions that one call looks at, for each that it may remove and at least. A span with little garbage is gone
    /// through in several calls, each going on where the last one stopped.
    static let examinedPerRemoval = 16
    static let minimumExamined = 16_384

    package func uncollected() throws -> [RangeID] {
        try loadIfNeeded()
        return file.withLock { $0.collections.due(of: recent.withLock { $0.states }) }
    }

    package func collectGarbage(of range: RangeID, in span: KeySpan, limit: Int) throws -> CollectionProgress {
        precondition(limit > 0, "a collection of \(limit) versions")
        try loadIfNeeded()
        return try file.withLock { file in
            guard let round = file.collections.round(of: range, in: recent.withLock({ $0.states })) else {
                return .nothing
            }
            try flush(file)
            return try noteFailure(file) { try file.collectGarbage(round, of: range, in: span, limit: limit) }
        }
    }

    package func remove(_ range: RangeID, span: KeySpan) throws {
        try loadIfNeeded()
        try file.withLock { file in
            try flush(file)
            try noteFailure(file) {
                try file.connection.transaction { try file.clear(range, span) }
            }
            file.requestRows[range] = nil
            file.collections.forget(range)
        }
        recent.withLock { $0.states[range] = nil }
        requests.forget(range)
    }
}

extension StateFile {
    fileprivate func collectGarbage(
        _ round: Collections.Round, of range: RangeID, in span: KeySpan, limit: Int
    ) throws -> CollectionProgress {
        var garbage: [(key: Key, timestamp: Int64)] = []
        let next = try connection.perform {
            try findGarbage(from: round.next ?? span.lower, span, round.threshold, limit, &garbage)
        }
        if !garbage.isEmpty { try delete(garbage) }
        collections.note(round, of: range, next: next)
        return CollectionProgress(removed: garbage.count, isComplete: next == nil)
    }

    private func delete(_ garbage: [(key: Key, timestamp: Int64)]) throws {
        try connection.transaction {
            for (key, timestamp) in garbage {
                try key.bytes.withUnsafeBytes { bytes in
                    deleteVersion.bind(1, bytes)
                    deleteVersion.bind(2, timestamp)
                    try deleteVersion.run()
                    try forgetChange(bytes, timestamp)
                }
            }
        }
    }

    /// - Returns: where to go on, or `nil` at the span's end.
    private func findGarbage(
        from start: Key, _ span: KeySpan, _ horizon: Timestamp, _ limit: Int,
        _ garbage: inout [(key: Key, timestamp: Int64)]
    ) throws -> Key? {
        var key: Key?
        var hasVisible = false
        // A deletion that the horizon sees. It goes only together with everything older, or an old value came back.
        var deletion: Int64?
        var examined = 0
        return try start.bytes.withUnsafeBytes { bytes in
            examineVersions.bind(1, bytes)
            defer { examineVersions.reset() }
            while try examineVersions.step() {
                let found = examineVersions.blob(0)
                if key.map({ !found.hasSameBytes(as: $0.bytes) }) ?? true {
                    if garbage.count == limit { return key }
                    if let key, let deletion { garbage.append((key, deletion)) }
                    deletion = nil
                    let next = Key([UInt8](found))
                    if let upper = span.upper, next >= upper { return nil }
                    if examined >= max(SQLiteStateStore.minimumExamined, limit * SQLiteStateStore.examinedPerRemoval) {
                        return next
                    }
                    key = next
                    hasVisible = false
                }
                examined += 1
                let timestamp = examineVersions.integer(1)
                guard timestamp <= horizon.rawValue else { continue }
                if hasVisible {
                    if garbage.count == limit { return key }
                    garbage.append((key!, timestamp))
                } else {
                    hasVisible = true
                    if examineVersions.integer(2) == 1 { deletion = timestamp }
                }
            }
            if let key, let deletion {
                if garbage.count == limit { return key }
                garbage.append((key, deletion))
            }
            return nil
        }
    }

    /// Deletes a range's rows, inside a transaction.
    func clear(_ range: RangeID, _ span: KeySpan) throws {
        for table in ["versions", "changes"] { try clear(table, span) }
        let identifier = Int64(bitPattern: range.rawValue)
        try connection.execute("DELETE FROM requests WHERE range_id = ?", [identifier])
        try connection.execute("DELETE FROM ranges WHERE range_id = ?", [identifier])
    }

    private func clear(_ table: String, _ span: KeySpan) throws {
        try span.lower.bytes.withUnsafeBytes { lower in
            let condition = span.upper == nil ? "key >= ?" : "key >= ? AND key < ?"
            let delete = try SQLiteStatement(
                connection.handle, file: connection.file, name: "remove", sql: "DELETE FROM \(table) WHERE \(condition)"
            )
            defer { delete.finalize() }
            delete.bind(1, lower)
            guard let upper = span.upper else { return try delete.run() }
            try upper.bytes.withUnsafeBytes { upper in
                delete.bind(2, upper)
                try delete.run()
            }
        }
    }
}
