import Foundation
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import MeridianStorage
import Synchronization

/// Erasing rows so that no file of any node holds anything of them: not an older version, not a log entry, not the free
/// space of a file, on no replica of any role.
///
/// 1. A command in each range's log removes all versions of the keys on each replica as it is applied. An active-active
///    table has all rows in every copy, so it is erased in every copy, whatever the law there, and in retired ones; and
///    each copy keeps a mark by which it refuses what others still know of the row (`CopyErasure`).
/// 2. Each replica makes that durable, cuts its log behind it, and writes both files anew. Reports of commits that a
///    failover has left behind lose them as well.
/// 3. The certificate says of each replica when that was done, and names those that are outstanding: nodes that are
///    down. `complete(_:)` goes on with them.
extension EmbeddedCluster {
    /// Erases a row by its key, with its history in every home region under one law, also where it was deleted before.
    ///
    /// ```swift
    /// var certificate = try await cluster.erase("ada@example.eu", from: users, under: "EU")
    /// if !certificate.isComplete { certificate = try await cluster.complete(certificate) }
    /// ```
    /// - Parameters:
    ///   - jurisdiction: whose copies are erased; the key is told to nobody outside of it. It may be left out where all
    ///     of the table's home regions stand under one law, and counts for nothing in an active-active table, whose
    ///     copies all have the row.
    ///   - deadline: when to stop waiting for replicas, which then stand in the certificate as outstanding.
    /// - Throws: what a commit throws, in which case nothing was erased, or only in some of the ranges: call it again.
    ///   `.jurisdictionViolation` when the law must be named.
    public func erase<Row, each Part: Encodable>(
        _ key: repeat each Part, from table: Table<Row>, under jurisdiction: Jurisdiction? = nil,
        deadline: Duration = .seconds(30)
    ) async throws -> ErasureCertificate {
        let values = try table.keyValues(repeat each key)
        return try await erase([values], from: table, under: jurisdiction, end: self.deadline(after: deadline))
    }

    /// Erases all rows that fit, such as those of one person. They are looked for once more afterwards, so that none
    /// that was being written meanwhile is forgotten.
    ///
    /// Only rows that are there can be found: one that was deleted before is erased by its key, or is gone after
    /// `ClusterConfiguration.retention`, and its bytes with the next erasure.
    /// - Throws: as `erase(_:from:under:deadline:)`; `.conflict` when rows of theirs keep being written.
    public func erase<Row>(
        from table: Table<Row>, under jurisdiction: Jurisdiction? = nil, deadline: Duration = .seconds(30),
        where isTheirs: @escaping @Sendable (Row) -> Bool
    ) async throws -> ErasureCertificate {
        let end = self.deadline(after: deadline)
        var erased: [[Value]] = []
        var certificate: ErasureCertificate?
        for _ in 0..<Self.searchLimit {
            let found = try await find(table, jurisdiction, isTheirs, end: end)
            if found.isEmpty, let certificate { return certificate }
            for values in found where !erased.contains(values) { erased.append(values) }
            certificate = try await erase(erased, from: table, under: jurisdiction, end: end)
            if found.isEmpty { break }
        }
        guard let certificate, try await find(table, jurisdiction, isTheirs, end: end).isEmpty else {
            throw MeridianError(
                .conflict, "table \(table.name): rows that fit are written while they are erased; stop writing them",
                retry: .after(.seconds(1)))
        }
        return certificate
    }

    private static let searchLimit = 3
    /// Keys in one command.
    private static let batchCount = 1_000
    /// How long one copy of an active-active table is waited for: the others go on without it.
    private static let copyPatience = Duration.seconds(5)
    private static let retryPause = Duration.milliseconds(50)

    /// Goes on with the replicas that are outstanding, until they have confirmed or the deadline has come.
    /// - Returns: the certificate as it stands then, sealed anew.
    /// - Throws: `.invalidToken` when this cluster has not made the certificate, or it was altered.
    public func complete(
        _ certificate: ErasureCertificate, deadline: Duration = .seconds(30)
    ) async throws -> ErasureCertificate {
        guard verify(certificate) else {
            throw MeridianError(
                .invalidToken,
                "the erasure certificate was altered, or is another cluster's; pass it on as it was given")
        }
        let end = self.deadline(after: deadline)
        return try seal(await scrub(try await reach(certificate, end: end), end: end))
    }

    /// Whether this cluster has sealed the certificate, and nobody has altered it since.
    public func verify(_ certificate: ErasureCertificate) -> Bool {
        seal.code(over: certificate.sealedBytes) == certificate.seal
    }

    /// Whether certificates follow each other without a gap, each sealed: of each but the first, the one before is
    /// there.
    public func verify(chain: [ErasureCertificate]) -> Bool {
        let sorted = chain.sorted { $0.sequence < $1.sequence }
        return sorted.allSatisfy(verify)
            && zip(sorted, sorted.dropFirst()).allSatisfy { $1.sequence == $0.sequence + 1 && $1.previous == $0.seal }
    }

    // MARK: The parts

    private func scope<Row>(
        _ table: Table<Row>, _ jurisdiction: Jurisdiction?, end: Instant
    ) async throws -> (ResolvedTable, [RangeDescriptor]) {
        let database = Database(host: self, region: topology.regions[0])
        let resolved = try await database.resolve(table, end: end)
        let ranges = resolved.record.ranges
        if resolved.isActiveActive { return (resolved, ranges) }
        let laws = Set(ranges.map { topology.jurisdiction(of: $0.home) })
        guard let jurisdiction = jurisdiction ?? (laws.count == 1 ? laws.first : nil) else {
            throw MeridianError(
                .jurisdictionViolation,
                "table \(table.name) has rows under \(laws.sorted().map(\.rawValue).joined(separator: ", ")); "
                    + "name the one to erase under")
        }
        return (resolved, ranges.filter { topology.jurisdiction(of: $0.home) == jurisdiction })
    }

    private func find<Row>(
        _ table: Table<Row>, _ jurisdiction: Jurisdiction?, _ isTheirs: @Sendable (Row) -> Bool, end: Instant
    ) async throws -> [[Value]] {
        let (resolved, ranges) = try await scope(table, jurisdiction, end: end)
        var found: [[Value]] = []
        let inUse = Set(resolved.ranges.values.map(\.id))
        for range in ranges {
            let database = Database(host: self, region: range.home)
            guard inUse.contains(range.id) else {
                // A copy that is out of use may be gone; what it has alone is found as long as it answers.
                let end = min(end, deadline(after: Self.copyPatience))
                let rows = try? await database.rows(of: resolved.span(of: .primary, in: range), in: range.id, end: end)
                for row in rows ?? [] {
                    guard let value = row.version.value,
                        let shown = try RowReader.Found(row.key, value, resolved, range),
                        isTheirs(try table.decode(shown))
                    else { continue }
                    found.append(resolved.schema.keyValues(of: shown.row))
                }
                continue
            }
            let reader = RowReader(
                database: database, end: end, timestamp: try await database.readTimestamp(end: end))
            for row in try await reader.scan(resolved, prefix: [], in: range.partition, limit: .max)
            where isTheirs(try table.decode(row)) {
                found.append(resolved.schema.keyValues(of: row.row))
            }
        }
        return found
    }

    private func erase<Row>(
        _ keys: [[Value]], from table: Table<Row>, under jurisdiction: Jurisdiction?, end: Instant
    ) async throws -> ErasureCertificate {
        let (resolved, ranges) = try await scope(table, jurisdiction, end: end)
        let salt = Hexadecimal.text(TokenSeal.drawKey())
        let asked = Self.wallClockNanoseconds
        let days = ranges.compactMap { rules[topology.jurisdiction(of: $0.home)]?.erasureDays }.min()
        var certificate = ErasureCertificate(
            id: UUID().uuidString, table: table.name, requestedNanoseconds: asked,
            dueNanoseconds: days.map { asked + Int64($0) * 86_400_000_000_000 }, salt: salt,
            keyDigests: try keys.map { ErasureCertificate.digest(try table.plainKey($0), salt: salt) }, ranges: [])
        if resolved.isActiveActive {
            let database = Database(host: self, region: topology.regions[0])
            certificate.erasedNanoseconds = try await database.erasureTime(of: keys, resolved, end: end).rawValue
        }
        var failure: (any Error)?
        for range in ranges {
            var entry = Self.entry(range, topology)
            do {
                let result = try await erase(keys, from: resolved, in: range, certificate, end: end)
                (entry.logIndex, entry.throughNanoseconds) = (result.index.rawValue, result.timestamp.rawValue)
            } catch let error as MeridianError where resolved.isActiveActive && error.retry != .never {
                // The others keep it erased, and `complete` comes back to this copy.
                failure = error
            }
            certificate.ranges.append(entry)
        }
        if let failure, !certificate.ranges.contains(where: \.isErased) { throw failure }
        // A copy that has come meanwhile may have been filled with what was there before.
        certificate = try await reach(certificate, end: end)
        return try seal(await scrub(certificate, end: end))
    }

    /// Erases keys from one range.
    /// - Returns: the last command.
    private func erase(
        _ keys: [[Value]], from table: ResolvedTable, in range: RangeDescriptor, _ certificate: ErasureCertificate,
        end: Instant
    ) async throws -> CommitResult {
        let database = Database(host: self, region: range.home)
        let stored = try keys.map { try table.key($0, in: range) }
        guard !table.isActiveActive else {
            return try await CopyErasure(database: database, table: table, range: range).erase(
                stored, at: Timestamp(rawValue: certificate.erasedNanoseconds ?? 0), isNew: true,
                end: min(end, deadline(after: Self.copyPatience)))
        }
        var last = CommitResult(timestamp: .zero, term: .zero)
        for start in stride(from: 0, to: stored.count, by: Self.batchCount) {
            let batch = stored[start..<min(start + Self.batchCount, stored.count)]
            var request = CommitRequest(
                id: newRequestID(), preconditions: [], mutations: batch.map { Mutation(key: $0, value: nil) })
            request.erases = true
            last = try await database.commit(range.id, request, end: end, mayBeRepeated: true).result
        }
        return last
    }

    private static func entry(_ range: RangeDescriptor, _ topology: Topology) -> ErasureCertificate.Range {
        ErasureCertificate.Range(
            range: range.id.rawValue, home: range.home, jurisdiction: topology.jurisdiction(of: range.home),
            logIndex: 0, throughNanoseconds: 0,
            replicas: range.members.map { member in
                ErasureCertificate.Replica(
                    node: topology.node(member.node)?.name ?? "\(member.node)", region: member.region,
                    role: "\(member.role)")
            })
    }

    /// Erases from the copies of an active-active table that could not be reached before, and from those that have come
    /// since: by the certificate's digests, since it holds no keys. What was written anew after the erasure stays.
    private func reach(_ certificate: ErasureCertificate, end: Instant) async throws -> ErasureCertificate {
        guard let time = certificate.erasedNanoseconds else { return certificate }
        var certificate = certificate
        let database = Database(host: self, region: topology.regions[0])
        let table = try ResolvedTable(try await database.record(certificate.table, end: end), topology: topology)
        for range in table.record.ranges where !certificate.ranges.contains(where: { $0.range == range.id.rawValue }) {
            certificate.ranges.append(Self.entry(range, topology))
        }
        for position in certificate.ranges.indices where !certificate.ranges[position].isErased {
            let id = certificate.ranges[position].range
            guard let range = table.record.ranges.first(where: { $0.id.rawValue == id }) else { continue }
            let copy = CopyErasure(
                database: Database(host: self, region: range.home), table: table, range: range)
            let end = min(end, deadline(after: Self.copyPatience))
            do {
                let keys = try await copy.keys(end: end) { (key) throws -> Void? in
                    let suffix = key.bytes.dropFirst(table.span(of: .primary, in: range).lower.bytes.count)
                    let plain = KeyEncoder.prefix(table: .system, region: "") + suffix
                    return certificate.keyDigests.contains(ErasureCertificate.digest(plain, salt: certificate.salt))
                        ? () : nil
                }
                let result = try await copy.erase(keys.map(\.key), at: Timestamp(rawValue: time), end: end)
                certificate.ranges[position].logIndex = result.index.rawValue
                certificate.ranges[position].throughNanoseconds = result.timestamp.rawValue
            } catch let error as MeridianError where error.retry != .never {
                continue
            }
        }
        return certificate
    }

    private static var wallClockNanoseconds: Int64 { Int64(Date().timeIntervalSince1970 * 1e9) }

    /// Asks every node that is outstanding and runs, again and again.
    private func scrub(_ certificate: ErasureCertificate, end: Instant) async -> ErasureCertificate {
        var certificate = certificate
        while true {
            let open = certificate.pendingNodes.compactMap { name in topology.node(named: name) }
            let drivers = state.withLock { state in open.compactMap { state.drivers[$0.id] } }
            let (erasures, current) = (certificate.erasuresByNode, topology)
            let done = await withTaskGroup(of: NodeID?.self) { group in
                for driver in drivers {
                    let name = current.node(driver.node)?.name ?? ""
                    group.addTask { await driver.scrub(erasures[name] ?? [:]) ? driver.node : nil }
                }
                return await group.reduce(into: Set<NodeID>()) { if let node = $1 { $0.insert(node) } }
            }
            let at = Self.wallClockNanoseconds
            for node in done.compactMap({ topology.node($0) }) {
                // A report that cannot be read or written leaves the node outstanding.
                guard (try? eraseReports(of: node, coveredBy: certificate)) != nil else { continue }
                certificate.confirm(node.name, at: at)
            }
            if drivers.isEmpty || certificate.isComplete || now >= end { return certificate }
            await pause(for: Self.retryPause)
        }
    }

    /// Takes the next place in the chain.
    private func seal(_ certificate: ErasureCertificate) throws -> ErasureCertificate {
        try erasures.withLock { head in
            var next = try head ?? files?.lastErasure() ?? ErasureChainHead(sequence: 0, seal: "")
            var sealed = certificate
            sealed.sequence = next.sequence + 1
            sealed.previous = next.seal
            sealed.seal = seal.code(over: sealed.sealedBytes)
            next = ErasureChainHead(sequence: sealed.sequence, seal: sealed.seal)
            try files?.note(next)
            head = next
            return sealed
        }
    }
}

/// The end of a cluster's chain of certificates.
struct ErasureChainHead: Sendable {
    var sequence: Int
    var seal: String
}

extension ErasureCertificate {
    /// Where in the logs the erasures stand that each node has to confirm.
    fileprivate var erasuresByNode: [String: [RangeID: LogIndex]] {
        var erasures: [String: [RangeID: LogIndex]] = [:]
        for range in ranges {
            for replica in range.replicas where replica.confirmedNanoseconds == nil && range.isErased {
                erasures[replica.node, default: [:]][RangeID(range.range)] = LogIndex(range.logIndex)
            }
        }
        return erasures
    }

    fileprivate mutating func confirm(_ node: String, at nanoseconds: Int64) {
        for range in ranges.indices where ranges[range].isErased {
            for replica in ranges[range].replicas.indices where ranges[range].replicas[replica].node == node {
                guard ranges[range].replicas[replica].confirmedNanoseconds == nil else { continue }
                ranges[range].replicas[replica].confirmedNanoseconds = nanoseconds
            }
        }
    }
}
