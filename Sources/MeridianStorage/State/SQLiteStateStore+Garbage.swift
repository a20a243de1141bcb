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
        return recent.withLock { $0.books.uncollected(of: $0.states) }
    }

    package func collectGarbage(of range: RangeID, in span: KeySpan, limit: Int) throws -> CollectionProgress {
        precondition(limit > 0, "a collection of \(limit) versions")
        try loadIfNeeded()
        return try file.withLock { file in
            guard let round = recent.withLock({ $0.books.round(of: range, in: $0.states) }) else { return .nothing }
            try flush(file)
            return try noteFailure(file) {
                let (garbage, next) = try file.garbage(below: round, of: range, in: span, limit: limit)
                if !garbage.isEmpty { try delete(garbage, of: range, file) }
                recent.withLock { $0.books.note(round, of: range, next: next) }
                return CollectionProgress(removed: garbage.count, isComplete: next == nil)
            }
        }
    }

    /// Deletes versions, and writes down what the rest adds up to.
    private func delete(_ garbage: [StateFile.Garbage], of range: RangeID, _ file: StateFile) throws {
        var gone = RangeDigest()
        for version in garbage { gone.add(version.hash) }
        let (state, digest) = recent.withLock { ($0.states[range], $0.books[range].digest) }
        var rest = digest
        rest?.remove(gone)
        try file.connection.transaction {
            try file.delete(garbage)
            if let state { try file.put(state, rest, of: range) }
        }
        recent.withLock { recent in
            for version in garbage { recent.books[range].remove(version.hash, version.key) }
        }
    }

    package func inspect(_ range: RangeID, in span: KeySpan, limit: Int) throws -> InspectionProgress {
        precondition(limit > 0, "an inspection of \(limit) versions")
        try loadIfNeeded()
        return try file.withLock { file in
            var inspection = recent.withLock { $0.books[range].inspection } ?? Books.Inspection()
            let start = inspection.next ?? span.lower
            do {
                let next = try file.inspect(&inspection, range, span, limit: limit)
                // Nobody writes the file now, so a version is either there or among the recent ones.
                return recent.withLock { [inspection] recent in
                    var inspection = inspection
                    recent.versions.visit(KeySpan(lower: start, upper: next ?? span.upper)) { key, chain in
                        for version in chain { inspection.found.add(RangeDigest.hash(key, version, in: range)) }
                        return true
                    }
                    return recent.books.note(inspection, of: range, next: next)
                }
            } catch let error as MeridianError where error.code == .corruption {
                return recent.withLock { $0.books.noteDamage(of: range) }
            }
        }
    }

    package func remove(_ range: RangeID, span: KeySpan) throws {
        try loadIfNeeded()
        try file.withLock { file in
            try flush(file)
            try noteFailure(file) {
                try file.connection.durableTransaction { try file.clear(range, span) }
            }
            file.requestRows[range] = nil
        }
        recent.withLock { recent in
            recent.states[range] = nil
            recent.books.forget(range)
        }
        requests.forget(range)
    }
}

extension StateFile {
    struct Garbage: Sendable {
        var key: Key
        var timestamp: Int64
        var hash: UInt64
    }

    /// - Returns: what may go, and where to go on, or `nil` at the span's end.
    fileprivate func garbage(
        below round: Books.Round, of range: RangeID, in span: KeySpan, limit: Int
    ) throws -> ([Garbage], next: Key?) {
        var garbage: [Garbage] = []
        let next = try connection.perform {
            try findGarbage(from: round.next ?? span.lower, range, span, round.threshold, limit, &garbage)
        }
        return (garbage, next)
    }

    fileprivate func delete(_ garbage: [Garbage]) throws {
        for version in garbage {
            try version.key.bytes.withUnsafeBytes { bytes in
                deleteVersion.bind(1, bytes)
                deleteVersion.bind(2, version.timestamp)
                try deleteVersion.run()
                try forgetChange(bytes, version.timestamp)
            }
        }
    }

    private func findGarbage(
        from start: Key, _ range: RangeID, _ span: KeySpan, _ horizon: Timestamp, _ limit: Int,
        _ garbage: inout [Garbage]
    ) throws -> Key? {
        var key: Key?
        var hasVisible = false
        // A deletion that the horizon sees. It goes only together with everything older, or an old value came back.
        var deletion: Garbage?
        var examined = 0
        return try start.bytes.withUnsafeBytes { bytes in
            examineVersions.bind(1, bytes)
            defer { examineVersions.reset() }
            while try examineVersions.step() {
                let found = examineVersions.blob(0)
                if key.map({ !found.hasSameBytes(as: $0.bytes) }) ?? true {
                    if garbage.count == limit { return key }
                    if let deletion { garbage.append(deletion) }
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
                guard timestamp <= horizon.rawValue, let key else { continue }
                if hasVisible {
                    if garbage.count == limit { return key }
                    let hash = examineVersions.hash(of: found, 1, 2, in: range)
                    garbage.append(Garbage(key: key, timestamp: timestamp, hash: hash))
                } else {
                    hasVisible = true
                    if examineVersions.isNull(2) {
                        let hash = examineVersions.hash(of: found, 1, 2, in: range)
                        deletion = Garbage(key: key, timestamp: timestamp, hash: hash)
                    }
                }
            }
            if let deletion {
                if garbage.count == limit { return key }
                garbage.append(deletion)
            }
            return nil
        }
    }

    /// Adds up the versions of a piece of a span, their checksums verified.
    /// - Returns: where to go on, or `nil` at the span's end.
    fileprivate func inspect(
        _ inspection: inout Books.Inspection, _ range: RangeID, _ span: KeySpan, limit: Int
    ) throws -> Key? {
        var found = inspection.found
        let start = inspection.next ?? span.lower
        var key: [UInt8]?
        var count = 0
        let next: Key? = try connection.perform {
            try start.bytes.withUnsafeBytes { bytes in
                examineVersions.bind(1, bytes)
                defer { examineVersions.reset() }
                while try examineVersions.step() {
                    let bytes = examineVersions.blob(0)
                    if key.map({ !bytes.hasSameBytes(as: $0) }) ?? true {
                        let next = Key([UInt8](bytes))
                        if let upper = span.upper, next >= upper { return nil }
                        if count >= limit { return next }
                        key = next.bytes
                    }
                    _ = try examineVersions.version(of: bytes, timestamp: 1, value: 2, checksum: 3)
                    found.add(examineVersions.hash(of: bytes, 1, 2, in: range))
                    count += 1
                }
                return nil
            }
        }
        inspection.found = found
        return next
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
