import MeridianCore
import MeridianReplica

/// Reads of spans that are too long for one answer.
extension Database {
    /// Visits the rows of a span in key order, a page at a time, all as of one moment.
    /// - Parameters:
    ///   - operation: what asks for a page of the rest of the span. An empty page is the end.
    ///   - patience: how long one page may take; `nil`: as long as all of it.
    func visitPages(
        of span: KeySpan, in range: RangeID, patience: Duration? = nil, end: Instant,
        _ operation: (KeySpan) -> ReadOperation, _ visit: ([KeyedVersion]) async throws -> Void
    ) async throws {
        var (rest, timestamp) = (span, Timestamp?.none)
        while true {
            let pageEnd = patience.map { min(end, host.deadline(after: $0)) } ?? end
            let result = try await read(range, [operation(rest)], at: timestamp, end: pageEnd)
            timestamp = result.timestamp
            guard let last = result.rows[0].last else { return }
            try await visit(result.rows[0])
            rest = KeySpan(lower: last.key.successor, upper: span.upper)
            if let upper = rest.upper, rest.lower >= upper { return }
        }
    }

    /// All rows of a span.
    func rows(of span: KeySpan, in range: RangeID, end: Instant) async throws -> [KeyedVersion] {
        var rows: [KeyedVersion] = []
        try await visitPages(of: span, in: range, end: end) {
            .scan($0, limit: 2_000, byteLimit: 1 << 20)
        } _: {
            rows += $0
        }
        return rows
    }
}
