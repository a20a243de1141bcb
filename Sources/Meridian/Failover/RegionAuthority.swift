import MeridianCore
import MeridianPlacement
import MeridianReplica

/// How a region keeps its permission to serve the tables that fail over by themselves, and how others see that it does
/// not any more. `Authority` says why there is one.
///
/// A region renews only while its ranges have leaseholders: one that is up but cannot serve is given up like one that
/// is gone. All its automatic tables share one permission, so what belongs together fails over together.
struct RegionAuthority {
    let database: Database

    /// For how long a renewal lasts. It bounds both how long a failover waits for a lost region to have stopped, and
    /// how long a region may lose touch with the system range without stopping.
    static let term = Duration.nanoseconds(ClusterTiming.authorityTermNanoseconds)

    /// Asks for another term, if every range has a leaseholder.
    func renew(for ranges: [RangeDescriptor], end: Instant) async throws {
        for range in ranges {
            let answer = try await database.host.call(
                range.id, .request(.status(of: nil)), from: database.region, patience: .milliseconds(600),
                mayBeRepeated: false)
            guard case .status(let status) = answer, status.isLeader else { return }
        }
        // One that was not answered may commit later than this one: it must not shorten the term that leaseholders have
        // heard of, or another region takes over while they serve. So each renewal is of the row as it was found, and
        // only lengthens it.
        try await Self.grantTerm(to: database.region, by: database, end: end)
    }

    /// Gives a region a term: its next one, or its first before rows that fail over by themselves come to be at home
    /// there.
    ///
    /// In that case it need not have had one yet, or its last one may be long over: then nobody could serve the rows
    /// until it has heard of them and asked for a term, and others who hear of them first would take them for lost. A
    /// term that lasts longer stays.
    static func grantTerm(to region: Region, by database: Database, end: Instant) async throws {
        let key = try Authority.key(of: region)
        while true {
            let result = try await database.read(Catalog.systemRange, [.get(key)], at: nil, end: end)
            guard let now = database.host.latestTimestamp(in: database.region) else { return }
            let grant = Authority.Grant(region: region, until: now.advanced(byNanoseconds: term.nanoseconds))
            if let value = result.row(0)?.version.value,
                let known = try Authority.grant(in: Mutation(key: key, value: value)), known.until >= grant.until
            {
                return
            }
            let request = CommitRequest(
                id: database.host.newRequestID(), preconditions: [.unchanged(key, since: result.timestamp)],
                mutations: [try Authority.mutation(grant)])
            do {
                _ = try await database.commit(Catalog.systemRange, request, end: end)
                return
            } catch let error as MeridianError where error.code == .conflict {
                continue
            }
        }
    }

    /// The authority of a region, if it is over on every clock.
    static func lapsed(
        of region: Region, seenBy database: Database, end: Instant
    ) async throws -> FailoverProcedure.Lapsed? {
        let key = try Authority.key(of: region)
        let result = try await database.read(Catalog.systemRange, [.get(key)], at: nil, end: end)
        return try lapsed(key, result.row(0), result.timestamp, seenBy: database)
    }

    /// The authority of a region, if it is over on every clock, and a table's record, by one question.
    static func lapsed(
        of region: Region, and table: String, seenBy database: Database, end: Instant
    ) async throws -> (authority: FailoverProcedure.Lapsed?, record: Database.DatedRecord) {
        let key = try Authority.key(of: region)
        let operations: [ReadOperation] = [.get(key), .get(try Catalog.key(ofTable: table))]
        let result = try await database.read(Catalog.systemRange, operations, at: nil, end: end)
        return (
            try lapsed(key, result.row(0), result.timestamp, seenBy: database),
            try Database.DatedRecord(table, result.row(1), at: result.timestamp)
        )
    }

    private static func lapsed(
        _ key: Key, _ row: KeyedVersion?, _ timestamp: Timestamp, seenBy database: Database
    ) throws -> FailoverProcedure.Lapsed? {
        guard let value = row?.version.value,
            let grant = try Authority.grant(in: Mutation(key: key, value: value)),
            let earliest = database.host.earliestTimestamp(in: database.region),
            earliest > grant.until || Planted.isOn(.failoverUnlapsed)
        else { return nil }
        return .init(until: grant.until, condition: .unchanged(key, since: timestamp))
    }
}
