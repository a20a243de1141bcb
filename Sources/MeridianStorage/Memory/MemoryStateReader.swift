import MeridianCore

/// Reads a `MemoryStateStore`.
final class MemoryStateReader: StateReader {
    private let store: MemoryStateStore

    init(_ store: MemoryStateStore) { self.store = store }

    func read(_ key: Key, at timestamp: Timestamp) -> Version? {
        store.read { $0.versions.version(of: key, at: timestamp) }
    }

    func scan(_ span: KeySpan, at timestamp: Timestamp, limit: Int, byteLimit: Int) -> Page {
        store.read { contents in
            var builder = PageBuilder(span, limit: limit, byteLimit: byteLimit)
            contents.versions.visit(span) { key, chain in
                guard let slot = chain.visible(at: timestamp), chain[slot].value != nil else { return true }
                return builder.take(key, chain[slot])
            }
            return builder.page
        }
    }

    func changes(
        in span: KeySpan, since: Timestamp, at timestamp: Timestamp, limit: Int, byteLimit: Int
    ) -> Page {
        var builder = ChangesPageBuilder(limit: limit, byteLimit: byteLimit)
        let changed = store.read { contents in
            var changed: [KeyedVersion] = []
            contents.versions.visit(span) { key, chain in
                guard let slot = chain.visible(at: timestamp), chain[slot].timestamp > since else { return true }
                changed.append(KeyedVersion(key: key, version: chain[slot]))
                return true
            }
            return changed
        }
        for row in changed.inOrderOfChange where !builder.take(row) { break }
        return builder.page
    }

    func newest(in span: KeySpan, since: Timestamp, limit: Int, byteLimit: Int) -> Page {
        store.read { contents in
            var builder = PageBuilder(span, limit: limit, byteLimit: byteLimit)
            contents.versions.visit(span) { key, chain in
                guard let newest = chain.last, newest.timestamp > since else { return true }
                return builder.take(key, newest)
            }
            return builder.page
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
