import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Erasing rows from one copy of an active-active table, and keeping them erased.
///
/// An erasure is part of the lattice: a record of before it is below every record of after it, and below nothing at
/// all (`Record.erasure`). So what a copy must remember is when a row was erased, and that for good: older states can
/// come from a copy that was cut off, a page in a puller's hand, a retired copy, and nobody can say that none is left.
/// It is one *mark* a row, of which the key is the row's key under a keyed hash (HMAC-SHA256 under the cluster's key),
/// since the key itself may be the name of a person; the value is a time. Whoever has the files and not the cluster's
/// key learns from a mark that some row was erased, and when. Whoever has both can try guesses, as with a certificate.
///
/// The mark comes first and what it forbids goes then. All writes and merges read the mark of their row and commit only
/// if it is unchanged (`Transaction.converge`, `CopyMerge`), so nothing of before comes in behind it. Reads do not look
/// at marks: until the rows are gone, a moment later, they are shown.
///
/// Marks of which the copy does not know the key come from other copies (`ErasureExchange`): it looks through all of
/// its rows, and keeps them as open until it has done so.
struct CopyErasure: Sendable {
    let database: Database
    let table: ResolvedTable
    let range: RangeDescriptor

    /// Keys in one command.
    private static let batchCount = 500

    /// Erases rows by their keys.
    /// - Parameters:
    ///   - keys: of the primary index, in this copy.
    ///   - time: rows that were written anew after an erasure of this time or later stay.
    ///   - isNew: erases in any case, also what was written since an erasure that seems to be of later.
    /// - Returns: the last command; where there was nothing to erase, one that erases nothing.
    @discardableResult
    func erase(_ keys: [Key], at time: Timestamp, isNew: Bool = false, end: Instant) async throws -> CommitResult {
        var last: CommitResult?
        for start in stride(from: 0, to: keys.count, by: Self.batchCount) {
            let batch = Array(keys[start..<min(start + Self.batchCount, keys.count)])
            let marked = try await mark(batch, at: time, isNew: isNew, end: end)
            last = try await command(try await stored(batch, before: marked, end: end), end: end) ?? last
        }
        if let last { return last }
        // The bound of a span is no row's key.
        return try await command([Key(table.span(of: .openErasures, in: range).lower.bytes)], end: end)!
    }

    /// - Returns: the rows' erasures from now on.
    private func mark(
        _ keys: [Key], at time: Timestamp, isNew: Bool, end: Instant
    ) async throws -> [Timestamp] {
        let marks = try keys.map { try table.markKey(of: $0, in: range, seal: database.host.seal) }
        while true {
            let found = try await database.read(range.id, marks.map { .get($0) }, at: nil, end: end)
            let known = try found.pages.map { try ActiveTable.cursor(in: $0.rows.first) }
            let wanted = known.map { isNew ? max(time, $0.next) : max(time, $0) }
            var request = CommitRequest(id: database.host.newRequestID(), preconditions: [], mutations: [])
            for (key, (before, after)) in zip(marks, zip(known, wanted)) where before < after {
                request.preconditions.append(.unchanged(key, since: found.timestamp))
                request.mutations.append(Mutation(key: key, value: try ActiveTable.cursorValue(after)))
            }
            guard !request.mutations.isEmpty else { return wanted }
            do {
                _ = try await database.commit(range.id, request, end: end)
                return wanted
            } catch let error as MeridianError where error.code == .conflict && database.host.now < end {
                continue
            }
        }
    }

    /// What there is of rows of before their erasures: themselves, what of them is in the outbox, and their conflicts.
    private func stored(_ keys: [Key], before erasures: [Timestamp], end: Instant) async throws -> [Key] {
        var stored: [Key] = []
        for index in [IndexID.primary, .outbox] {
            let places = keys.map { table.key(ofRow: $0, index: index, in: range) }
            let result = try await database.read(range.id, places.map { .get($0) }, at: nil, end: end)
            for (position, key) in places.enumerated() {
                // An earlier version may be there where the newest one is a removal.
                guard let value = result.row(position)?.version.value else {
                    stored.append(key)
                    continue
                }
                let record = try RecordCoding.decode(value, table.shape!, name: table.name)
                if record.erasure < erasures[position] { stored.append(key) }
            }
        }
        for key in keys {
            let span = KeySpan(prefix: table.key(ofRow: key, index: .conflicts, in: range).bytes)
            stored += try await database.rows(of: span, in: range.id, end: end).map(\.key)
        }
        return stored
    }

    private func command(_ keys: [Key], end: Instant) async throws -> CommitResult? {
        guard !keys.isEmpty else { return nil }
        var request = CommitRequest(
            id: database.host.newRequestID(), preconditions: [], mutations: keys.map { Mutation(key: $0, value: nil) })
        request.erases = true
        return try await database.commit(range.id, request, end: end, mayBeRepeated: true).result
    }

    // MARK: Rows that are known by their marks

    /// Looks for the rows of open marks.
    func finish(end: Instant) async throws {
        let open = try await database.rows(of: table.span(of: .openErasures, in: range), in: range.id, end: end)
        guard !open.isEmpty else { return }
        var wanted: [Key: Timestamp] = [:]
        for row in open {
            wanted[table.key(ofRow: row.key, index: .erasures, in: range)] = try ActiveTable.cursor(in: row)
        }
        let found = try await keys(end: end) { wanted[try table.markKey(of: $0, in: range, seal: database.host.seal)] }
        for (time, keys) in Dictionary(grouping: found, by: \.match).sorted(by: { $0.key < $1.key }) {
            try await erase(keys.map(\.key), at: time, end: end)
        }
        let request = CommitRequest(
            id: database.host.newRequestID(),
            preconditions: open.map { .unchanged($0.key, since: $0.version.timestamp) },
            mutations: open.map { Mutation(key: $0.key, value: nil) })
        _ = try await database.commit(range.id, request, end: end)
    }

    /// The keys of all rows of which anything is in the copy, alive or not, and which fit.
    /// - Parameter match: precondition: it depends on the key alone.
    func keys<Match>(
        end: Instant, where match: (Key) throws -> Match?
    ) async throws -> [(key: Key, match: Match)] {
        var found: [Key: Match] = [:]
        for index in [IndexID.primary, .outbox, .conflicts] {
            for row in try await database.rows(of: table.span(of: index, in: range), in: range.id, end: end) {
                var key = table.key(ofRow: row.key, index: .primary, in: range)
                if index == .conflicts {
                    var decoder = try KeyDecoder(row.key)
                    let values = try decoder.values().dropLast(ConflictCoding.keySuffixTypes.count)
                    key = try table.key(Array(values), in: range)
                }
                if found[key] == nil, let match = try match(key) { found[key] = match }
            }
        }
        return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension Database {
    /// A time above all earlier erasures of rows, as far as their copies answer: one for all copies, so that what is on
    /// its way from one to another is of before it in both.
    func erasureTime(of keys: [[Value]], _ table: ResolvedTable, end: Instant) async throws -> Timestamp {
        var time = try await readTimestamp(end: end)
        for range in table.ranges.values.sorted(by: { $0.id < $1.id }) {
            let marks = try keys.map { key throws(MeridianError) -> ReadOperation in
                .get(try table.markKey(of: try table.key(key, in: range), in: range, seal: host.seal))
            }
            let end = min(end, host.deadline(after: .seconds(1)))
            for page in (try? await read(range.id, marks, at: nil, end: end))?.pages ?? [] {
                time = max(time, try ActiveTable.cursor(in: page.rows.first).next)
            }
        }
        return time
    }

    /// Erases a row from all copies of an active-active table: the part of an erasure that is no file's
    /// (`EmbeddedCluster.erase`).
    /// - Throws: `.unavailable`, `.deadlineExceeded` when a copy in use does not answer; `.conflict` when one has come
    ///   meanwhile. The others have erased it then.
    package func eraseFromCopies<Row, each Part: Encodable>(
        _ key: repeat each Part, of table: Table<Row>, deadline: Duration
    ) async throws {
        let end = host.deadline(after: deadline)
        let record = try await activeRecord(table, end: end)
        let resolved = try ResolvedTable(record, topology: host.topology)
        let values = try table.keyValues(repeat each key)
        let time = try await erasureTime(of: [values], resolved, end: end)
        for (copy, range) in zip(record.copies, record.ranges) {
            let erasure = CopyErasure(
                database: Database(host: host, region: range.home), table: resolved, range: range)
            let stored = try resolved.key(values, in: range)
            guard copy.isInUse else {
                _ = try? await erasure.erase(
                    [stored], at: time, isNew: true, end: min(end, host.deadline(after: .seconds(1))))
                continue
            }
            try await erasure.erase([stored], at: time, isNew: true, end: end)
        }
        guard try await self.record(table.name, end: end).ranges.map(\.id) == record.ranges.map(\.id) else {
            throw MeridianError(
                .conflict, "table \(table.name) has got a copy amid an erasure; erase again", retry: .immediately)
        }
    }
}

/// Takes the marks of another copy into the own one, and erases what they forbid.
struct ErasureExchange: Sendable {
    let database: Database
    let table: ActiveTable
    let other: ActiveTable.Copy

    private static let pageRows = 2_000

    func run(end: Instant) async throws {
        let theirs = try await digests(of: other, end: end)
        let buckets = try await digests(of: table.own, end: end).differingBuckets(from: theirs)
        if !buckets.isEmpty {
            let span = table.span(of: .erasures, in: other)
            let operation = ReadOperation.bucketRows(
                span, prefix: span.lower.bytes.count, buckets: buckets, limit: Self.pageRows, byteLimit: 1 << 20)
            try await database.visitPages(of: operation, in: other.range.id, end: end) {
                try await take($0.rows, end: end)
                return true
            }
        }
        try await table.erasure(database).finish(end: end)
    }

    private func digests(of copy: ActiveTable.Copy, end: Instant) async throws -> RowDigests {
        let span = table.span(of: .erasures, in: copy)
        let operation = ReadOperation.digests(span, prefix: span.lower.bytes.count)
        let result = try await database.read(copy.range.id, [operation], at: nil, end: end)
        return try result.row(0)?.version.value.map { try RowDigests(decoding: $0) } ?? RowDigests()
    }

    private func take(_ marks: [KeyedVersion], end: Instant) async throws {
        let keys = marks.map { table.key(of: $0.key, of: other, index: .erasures) }
        while true {
            let found = try await database.read(table.own.range.id, keys.map { .get($0) }, at: nil, end: end)
            var request = CommitRequest(id: database.host.newRequestID(), preconditions: [], mutations: [])
            for (position, mark) in marks.enumerated() {
                guard let value = mark.version.value,
                    try ActiveTable.cursor(in: found.row(position)) < (try ActiveTable.cursor(in: value))
                else { continue }
                request.preconditions.append(.unchanged(keys[position], since: found.timestamp))
                let open = table.resolved.key(ofRow: keys[position], index: .openErasures, in: table.own.range)
                request.mutations += [Mutation(key: keys[position], value: value), Mutation(key: open, value: value)]
            }
            guard !request.mutations.isEmpty else { return }
            do {
                _ = try await database.commit(table.own.range.id, request, end: end)
                return
            } catch let error as MeridianError where error.code == .conflict && database.host.now < end {
                continue
            }
        }
    }
}

extension ResolvedTable {
    /// What stands in another index of a range under the key of one of its rows.
    /// - Parameter key: of any index of the range.
    func key(ofRow key: Key, index: IndexID, in range: RangeDescriptor) -> Key {
        let prefix = span(of: index, in: range).lower.bytes
        return Key(prefix + key.bytes.dropFirst(prefix.count))
    }

    /// Where a copy has the mark of a row's erasure. Rows with one key have one mark, in every copy.
    func markKey(of row: Key, in range: RangeDescriptor, seal: TokenSeal) throws(MeridianError) -> Key {
        let prefix = span(of: .primary, in: range).lower.bytes.count
        let name = seal.mark(ofRow: KeyEncoder.prefix(table: id) + row.bytes.dropFirst(prefix))
        return try KeyEncoder.key(
            table: keyTable(of: range), index: .erasures, region: range.partition, values: [.blob(name)],
            types: [.blob], name: self.name)
    }
}

extension ActiveTable {
    func erasure(_ database: Database) -> CopyErasure {
        CopyErasure(database: database, table: resolved, range: own.range)
    }

    func markKey(of row: Key, seal: TokenSeal) throws(MeridianError) -> Key {
        try resolved.markKey(of: row, in: own.range, seal: seal)
    }

    /// In the own copy, what stands in another one under the key of an index.
    func key(of key: Key, of copy: Copy, index: IndexID) -> Key {
        Key(span(of: index, in: own).lower.bytes + key.bytes.dropFirst(span(of: index, in: copy).lower.bytes.count))
    }
}
