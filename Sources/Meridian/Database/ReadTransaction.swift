import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Reads as of one timestamp. The first read fixes it, as the `ReadConsistency` asks.
public final class ReadTransaction: Sendable {
    private let database: Database
    private let end: Instant
    private let consistency: ReadConsistency
    private let fixed = Mutex<Timestamp?>(nil)
    private let coverage: TokenCoverage
    private let tables = TablesUsed()

    /// - Parameter coverage: of the closure's runs before this one.
    init(database: Database, consistency: ReadConsistency, end: Instant, coverage: TokenCoverage = TokenCoverage()) {
        self.database = database
        self.consistency = consistency
        self.end = end
        self.coverage = coverage
    }

    /// As of when the closure reads; `nil` before its first read. All that was committed at or below it is seen, and
    /// nothing above it.
    public var timestamp: Timestamp? { fixed.withLock { $0 } }

    /// A proof of what was read: a `read(.after(token))` anywhere sees at least as much. `nil` before the first read.
    public var token: CausalToken? { timestamp.map { database.host.seal.token(at: $0) } }

    /// The row with this key. In a table that is regional by row, the client's own region is asked first, then the
    /// others at once; name the region to ask only there.
    public func get<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region? = nil
    ) async throws -> Row? {
        try await find(repeat each key, from: table, in: region).map { try table.decode($0) }
    }

    func find<Row, each Part: Encodable & Sendable>(
        _ key: repeat each Part, from table: Table<Row>, in region: Region?
    ) async throws -> RowReader.Found? {
        let resolved = tables.first(try await database.resolve(table, end: end))
        let reader = try await reader(resolved, in: region)
        return try await reader.find(try table.keyValues(repeat each key), of: resolved, in: region)
    }

    /// The rows whose keys begin with the given parts, in key order within each region.
    /// - Parameters:
    ///   - prefix: the first parts of the key; none reads all rows.
    ///   - region: reads the rows of this home region only.
    ///   - limit: the most rows to return; none if it is not positive.
    public func scan<Row, each Part: Encodable & Sendable>(
        _ table: Table<Row>, prefix: repeat each Part, in region: Region? = nil, limit: Int = .max
    ) async throws -> [Row] {
        let resolved = tables.first(try await database.resolve(table, end: end))
        let reader = try await reader(resolved, in: region)
        let rows = try await reader.scan(
            resolved, prefix: try table.keyPrefixValues(repeat each prefix), in: region, limit: limit)
        return try rows.map { try table.decode($0) }
    }

    /// A reader of all of a table's home regions that gives up before the closure has to.
    func reader<Row>(of table: Table<Row>, within deadline: Duration) async throws -> (ResolvedTable, RowReader) {
        let resolved = tables.first(try await database.resolve(table, end: end))
        var reader = try await reader(resolved, in: nil)
        reader.end = min(end, database.host.deadline(after: deadline))
        return (resolved, reader)
    }

    private func reader(_ table: ResolvedTable, in region: Region?) async throws -> RowReader {
        let ranges = try region.map { [try table.range(in: $0)] } ?? table.homes(nearest: database.region)
        var timestamp = self.timestamp
        if case .after(let token) = consistency {
            if table.isActiveActive, region == nil { coverage.note(table) }
            timestamp = try await self.timestamp(covering: token, of: table)
        }
        if timestamp == nil { timestamp = try await readTimestamp(ranges.map(\.id)) }
        var reader = RowReader(database: database, end: end, timestamp: timestamp)
        reader.source = consistency == .strong ? .nearestOfGlobal : .nearest
        return reader
    }

    /// As of when this region's copies of the active-active tables that are read have what a token proves; `nil` where
    /// none is. What another copy has written arrives here later than its timestamp says, so the present is read.
    /// - Throws: `.conflict` when the time is fixed already and lies before that: the closure runs again.
    private func timestamp(covering token: CausalToken, of table: ResolvedTable) async throws -> Timestamp? {
        let needed = coverage.tables
        guard !needed.isEmpty else { return timestamp }
        guard timestamp == nil else {
            guard coverage.isMissing(table) else { return timestamp }
            throw Self.beganTooEarly(table)
        }
        let proven = try database.host.seal.timestamp(of: token)
        try consistency.checkLead(proven, now: try await database.readTimestamp(end: end))
        for table in needed { try await database.waitUntilCovered(table, at: proven, end: end) }
        let now = try await database.readTimestamp(end: end)
        let chosen = fix(now)
        // Of several reads that begin at once, one fixes the time.
        if chosen == now { coverage.noteCovered(needed) }
        guard coverage.isMissing(table) else { return chosen }
        throw Self.beganTooEarly(table)
    }

    private static func beganTooEarly(_ table: ResolvedTable) -> MeridianError {
        MeridianError(
            .conflict, "table \(table.name): the read began before this region had what the token proves",
            retry: .immediately)
    }

    private func fix(_ chosen: Timestamp) -> Timestamp {
        fixed.withLock { timestamp in
            let first = timestamp ?? chosen
            timestamp = first
            return first
        }
    }

    /// The timestamp of all reads: the first read's.
    private func readTimestamp(_ ranges: [RangeID]) async throws -> Timestamp {
        if let timestamp { return timestamp }
        return fix(try await choose(ranges))
    }

    /// - Parameter ranges: what is read first, the nearest first.
    private func choose(_ ranges: [RangeID]) async throws -> Timestamp {
        switch consistency {
        case .strong:
            return try await database.readTimestamp(end: end)
        case .exactStaleness(let age):
            return try await database.readTimestamp(end: end).advanced(byNanoseconds: -max(0, age.nanoseconds))
        case .boundedStaleness(let age):
            let bound = try await database.readTimestamp(end: end).advanced(byNanoseconds: -max(0, age.nanoseconds))
            return try await database.freshestTimestamp(ranges, notBefore: bound, end: end)
        case .at(let timestamp):
            try consistency.checkLead(timestamp, now: try await database.readTimestamp(end: end))
            return timestamp
        case .after(let token):
            var bound = try database.host.seal.timestamp(of: token)
            if Planted.isOn(.tokenIgnored) { bound = .zero }
            try consistency.checkLead(bound, now: try await database.readTimestamp(end: end))
            return try await database.freshestTimestamp(ranges, notBefore: bound, end: end)
        }
    }
}

extension Database {
    /// As of when ranges can be read near by, at or after a bound.
    fileprivate func freshestTimestamp(
        _ ranges: [RangeID], notBefore bound: Timestamp, end: Instant
    ) async throws -> Timestamp {
        let request = ReadRequest(
            timestamp: nil, operations: [], freshness: FreshnessQuestion(notBefore: bound, ranges: ranges))
        do {
            guard case .read(let result) = try await call(ranges[0], .read(request), end: end) else {
                preconditionFailure("\(ranges[0]) answered a read with something else")
            }
            return result.timestamp
        } catch let error as MeridianError where error.code == .unavailable {
            // No clock to go by near here; the leaseholders' can serve what the bound asks for.
            return bound > .zero ? bound : try await readTimestamp(end: end)
        }
    }
}
