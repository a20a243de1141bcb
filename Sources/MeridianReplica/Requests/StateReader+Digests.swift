import MeridianCore

/// Comparing copies of rows.
extension StateReader {
    /// Sums over the live rows of a span. Keys count from their byte `prefix` on.
    func digests(of span: KeySpan, prefix: Int, at timestamp: Timestamp, pages: PageLimits) throws -> RowDigests {
        var digests = RowDigests()
        try visitRows(of: span, at: timestamp, pages: pages) { row in
            if let value = row.version.value { digests.add(keySuffix: row.key.bytes.dropFirst(prefix), value: value) }
            return true
        }
        return digests
    }

    /// Takes in the live rows of a span that lie in some of the buckets, in key order, until the page is full.
    func fill(
        _ builder: inout PageBuilder, _ span: KeySpan, _ buckets: Set<UInt8>, prefix: Int, at timestamp: Timestamp,
        pages: PageLimits
    ) throws {
        if buckets.isEmpty { return }
        try visitRows(of: span, at: timestamp, pages: pages) { row in
            !buckets.contains(RowDigests.bucket(ofKeySuffix: row.key.bytes.dropFirst(prefix)))
                || builder.take(row.key, row.version)
        }
    }
}
