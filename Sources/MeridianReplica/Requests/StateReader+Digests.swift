import MeridianCore

/// Comparing copies of rows, over scans in pages.
extension StateReader {
    /// Sums over the live rows of a span. Keys count from their byte `prefix` on.
    func digests(of span: KeySpan, prefix: Int, at timestamp: Timestamp) throws -> RowDigests {
        var digests = RowDigests()
        try visitRows(of: span, at: timestamp) { row, value in
            digests.add(keySuffix: row.key.bytes.dropFirst(prefix), value: value)
            return true
        }
        return digests
    }

    /// The live rows of a span that lie in some of the buckets, in key order, until `limit` rows or `byteLimit` bytes
    /// of values are exceeded; at least one row is returned if there is one.
    func rows(
        of span: KeySpan, in buckets: Set<UInt8>, prefix: Int, at timestamp: Timestamp, limit: Int, byteLimit: Int
    ) throws -> [KeyedVersion] {
        precondition(limit > 0, "a page of \(limit) rows")
        if buckets.isEmpty { return [] }
        var rows: [KeyedVersion] = []
        var byteCount = 0
        try visitRows(of: span, at: timestamp) { row, value in
            guard buckets.contains(RowDigests.bucket(ofKeySuffix: row.key.bytes.dropFirst(prefix))) else { return true }
            if !rows.isEmpty, byteCount + value.count > byteLimit { return false }
            rows.append(row)
            byteCount += value.count
            return rows.count < limit && byteCount < byteLimit
        }
        return rows
    }

    /// Visits the live rows of a span in key order, a page in memory at a time, until the visitor returns false.
    private func visitRows(
        of span: KeySpan, at timestamp: Timestamp, _ visit: (KeyedVersion, [UInt8]) throws -> Bool
    ) throws {
        var rest = span
        while true {
            let page = try scan(rest, at: timestamp, limit: 1024, byteLimit: 1 << 20)
            for row in page {
                guard let value = row.version.value else { continue }
                if try !visit(row, value) { return }
            }
            // A page that is short because of its bytes is not the last one.
            guard let next = page.last?.key.successor, span.upper.map({ next < $0 }) ?? true else { return }
            rest = KeySpan(lower: next, upper: span.upper)
        }
    }
}
