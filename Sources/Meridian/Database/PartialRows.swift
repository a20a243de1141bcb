import MeridianCore
import MeridianPlacement
import MeridianReplica

/// What could be read of a table when not all of it could be reached in time.
public struct PartialRows<Row: Codable & Sendable>: Sendable {
    /// The rows of the home regions that answered, in key order within each, the nearest region first.
    public var rows: [Row]
    /// The home regions whose rows are missing, sorted by name; empty when the result is whole.
    public var missing: [Region]

    public var isComplete: Bool { missing.isEmpty }
}

extension ReadTransaction {
    /// As `scan` over all home regions, but what does not answer by the deadline is left out and named.
    ///
    /// Only for those who ask for it: a plain `scan` throws when a region is down. What is returned is as of one
    /// timestamp like every read.
    /// - Parameters:
    ///   - prefix: the first parts of the key; none reads all rows.
    ///   - limit: the most rows to return for each home region.
    ///   - deadline: how long to wait for the slowest region; at most as long as the closure may take.
    /// - Throws: `MeridianError` for everything but a region that does not answer: `.readTooOld`, `.corruption` and so
    ///   on.
    public func scanReachable<Row, each Part: Encodable & Sendable>(
        _ table: Table<Row>, prefix: repeat each Part, limit: Int = .max, deadline: Duration
    ) async throws -> PartialRows<Row> {
        let (resolved, reader) = try await reader(of: table, within: deadline)
        let values = try table.keyPrefixValues(repeat each prefix)
        let parts = try await reader.scanReachable(resolved, prefix: values, limit: limit)
        var partial = PartialRows<Row>(rows: [], missing: [])
        for (range, found) in parts {
            guard let found else {
                partial.missing.append(range.partition)
                continue
            }
            partial.rows += try found.map { try table.decode($0) }
        }
        partial.missing.sort { $0.rawValue < $1.rawValue }
        return partial
    }
}

extension RowReader {
    /// The rows of each home region, the nearest first; `nil` where nobody answered by the end.
    func scanReachable(
        _ table: ResolvedTable, prefix: [Value], limit: Int
    ) async throws -> [(range: RangeDescriptor, rows: [Found]?)] {
        let ranges = try ranges(of: table, prefix: prefix, in: nil)
        return try await withThrowingTaskGroup(of: (Int, [Found]?).self) { group in
            for (position, range) in ranges.enumerated() {
                group.addTask {
                    do {
                        return (position, try await scan(table, prefix: prefix, in: range.partition, limit: limit))
                    } catch let error as MeridianError where [.deadlineExceeded, .unavailable].contains(error.code) {
                        return (position, nil)
                    }
                }
            }
            var found = [[Found]?](repeating: nil, count: ranges.count)
            for try await (position, rows) in group { found[position] = rows }
            return zip(ranges, found).map { ($0, $1) }
        }
    }
}
