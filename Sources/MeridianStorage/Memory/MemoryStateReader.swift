import MeridianCore

/// Reads a `MemoryStateStore`.
final class MemoryStateReader: StateReader {
    private let store: MemoryStateStore

    init(_ store: MemoryStateStore) { self.store = store }

    func read(_ key: Key, at timestamp: Timestamp) -> Version? {
        store.read { $0.versions.version(of: key, at: timestamp) }
    }

    func scan(_ span: KeySpan, at timestamp: Timestamp, limit: Int, byteLimit: Int) -> [KeyedVersion] {
        precondition(limit > 0, "a scan for \(limit) rows")
        return store.read { contents in
            var rows: [KeyedVersion] = []
            var byteCount = 0
            contents.versions.visit(span) { key, chain in
                guard let slot = chain.visible(at: timestamp), let value = chain[slot].value else { return true }
                if !rows.isEmpty, byteCount + value.count > byteLimit { return false }
                rows.append(KeyedVersion(key: key, version: chain[slot]))
                byteCount += value.count
                return rows.count < limit && byteCount < byteLimit
            }
            return rows
        }
    }

    func changes(
        in span: KeySpan, since: Timestamp, at timestamp: Timestamp, limit: Int, byteLimit: Int
    ) -> [KeyedVersion] {
        var page = ChangesPage(limit: limit, byteLimit: byteLimit)
        let changed = store.read { contents in
            var changed: [KeyedVersion] = []
            contents.versions.visit(span) { key, chain in
                guard let slot = chain.visible(at: timestamp), chain[slot].timestamp > since else { return true }
                changed.append(KeyedVersion(key: key, version: chain[slot]))
                return true
            }
            return changed
        }
        for row in changed.inOrderOfChange where !page.take(row) { break }
        return page.rows
    }

    func newest(in span: KeySpan, since: Timestamp) -> [KeyedVersion] {
        store.read { contents in
            var newest: [KeyedVersion] = []
            contents.versions.visit(span) { key, chain in
                if let slot = chain.visible(at: .distantFuture), chain[slot].timestamp > since {
                    newest.append(KeyedVersion(key: key, version: chain[slot]))
                }
                return true
            }
            return newest
        }
    }

    func latestTimestamp(in span: KeySpan) -> Timestamp? {
        store.read { $0.versions.latestTimestamp(in: span) }
    }

    func threshold(of range: RangeID) -> Timestamp { store.threshold(of: range) }

    func outcome(of request: RequestID, in range: RangeID) -> AppliedRequest? {
        store.outcome(of: request, in: range)
    }
}
