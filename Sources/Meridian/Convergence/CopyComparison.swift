import MeridianConvergence
import MeridianCore
import MeridianReplica

/// Compares the own copy with another one and takes in what differs (anti-entropy, Demers et al. 1987): whatever went
/// wrong, in the code or outside of it, is found and repaired without being known.
///
/// Each side sums up its rows in 256 buckets (`RowDigests`), so what crosses the link are two kilobytes, and then the
/// rows of the buckets that differ. Rows that are on their way make buckets differ as well; taking them in twice does
/// no harm.
struct CopyComparison: Sendable {
    let database: Database
    let table: ActiveTable
    let other: ActiveTable.Copy

    private static let pageRows = 5_000

    /// - Returns: how many buckets differed.
    @discardableResult
    func run(end: Instant) async throws -> Int {
        try await ErasureExchange(database: database, table: table, other: other).run(end: end)
        let theirs = try await digests(of: other, end: end)
        let buckets = try await digests(of: table.own, end: end).differingBuckets(from: theirs)
        guard !buckets.isEmpty else { return 0 }
        let merge = CopyMerge(database: database, table: table, source: other)
        let span = table.span(of: .primary, in: other)
        let operation = ReadOperation.bucketRows(
            span, prefix: table.prefixCount(other), buckets: buckets, limit: Self.pageRows,
            byteLimit: CopyPuller.pageBytes)
        let timestamp = try await database.read(other.range.id, [], at: nil, end: end).timestamp
        try await database.visitPages(of: operation, in: other.range.id, at: timestamp, end: end) {
            try await merge.take($0.rows, readAt: timestamp, cursor: nil, end: end)
            return true
        }
        return buckets.count
    }

    private func digests(of copy: ActiveTable.Copy, end: Instant) async throws -> RowDigests {
        let operation = ReadOperation.digests(table.span(of: .primary, in: copy), prefix: table.prefixCount(copy))
        let result = try await database.read(copy.range.id, [operation], at: nil, end: end)
        return try result.row(0)?.version.value.map { try RowDigests(decoding: $0) } ?? RowDigests()
    }
}
