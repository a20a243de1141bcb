import MeridianCore
import MeridianReplica

/// Reads that are too long for one answer.
extension Database {
    /// How many rows and bytes are asked for at once.
    static let page = PageLimits(rows: 2_000, bytes: 1 << 20)

    /// Visits an answer page by page, all as of one moment, until the visitor returns false or nothing is left.
    /// - Parameter patience: how long one page may take; `nil`: as long as all of it.
    func visitPages(
        of operation: ReadOperation, in range: RangeID, at timestamp: Timestamp? = nil, fromNearest: Bool = false,
        patience: Duration? = nil, end: Instant, _ visit: (Page) async throws -> Bool
    ) async throws {
        var (rest, timestamp) = (ReadOperation?.some(operation), timestamp)
        while let operation = rest {
            let pageEnd = patience.map { min(end, host.deadline(after: $0)) } ?? end
            let result = try await read(range, [operation], at: timestamp, fromNearest: fromNearest, end: pageEnd)
            timestamp = result.timestamp
            guard try await visit(result.pages[0]) else { return }
            rest = operation.rest(after: result.pages[0])
        }
    }

    /// All rows of a span.
    func rows(
        of span: KeySpan, in range: RangeID, at timestamp: Timestamp? = nil, fromNearest: Bool = false, end: Instant
    ) async throws -> [KeyedVersion] {
        var rows: [KeyedVersion] = []
        let operation = ReadOperation.scan(span, limit: Self.page.rows, byteLimit: Self.page.bytes)
        try await visitPages(of: operation, in: range, at: timestamp, fromNearest: fromNearest, end: end) {
            rows += $0.rows
            return true
        }
        return rows
    }
}
