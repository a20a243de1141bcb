import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Failover by hand (`FailoverProcedure`); by itself it is the regions' keepers who do it (`RegionKeeper`).
extension Database {
    /// Lets the rows of a lost home region go on in another one, by force.
    ///
    /// Call it when the region is lost and will not come back soon. It is for tables in the asynchronous and
    /// semi-synchronous modes; with region survival consensus does it alone, and a table without copies elsewhere has
    /// nothing to go on from. A semi-synchronous table loses nothing. An asynchronous one loses what its copies lack,
    /// and the report says up to when they are complete. When the old home returns, its replicas become copies of the
    /// new history, and what only they had is kept (`EmbeddedCluster.unshippedCommits(of:)`).
    ///
    /// A region that lives should be left with `moveHome(of:partition:to:deadline:)`, which loses nothing.
    ///
    /// - Parameters:
    ///   - lost: the region that is given up: all rows of the table that are at home there go on elsewhere.
    ///   - destination: the new home; without one it is where the most complete copy is.
    ///   - acceptingLoss: whether to go on from what can be reached although it may lack commits that the mode had
    ///     promised to keep.
    /// - Returns: a report for each range that was at home there. What of other tables is undone with what was lost
    ///   stands in each of them.
    /// - Throws: `.placementImpossible` or `.jurisdictionViolation` for a destination that cannot be the home, and then
    ///   nothing has changed; `.unavailable` when too few copies answer; `.deadlineExceeded`.
    @discardableResult
    public func failOver<Row>(
        _ table: Table<Row>, from lost: Region, to destination: Region? = nil, acceptingLoss: Bool = false,
        deadline: Duration = .seconds(30)
    ) async throws -> [FailoverReport] {
        let end = host.deadline(after: deadline)
        let record = try await record(table.name, end: end)
        guard record.descriptor.locality != .activeActive else { throw Self.cannotMove(table.name) }
        var reports: [FailoverReport] = []
        let lostRanges = Set(record.ranges.lazy.filter { $0.home == lost }.map(\.id))
        for range in record.ranges where range.home == lost {
            let procedure = FailoverProcedure(
                database: self, table: table.name, seen: range, destination: destination, authority: nil,
                acceptsLoss: acceptingLoss, end: end)
            reports.append(try await procedure.run())
        }
        guard !reports.isEmpty else {
            throw MeridianError(
                .placementImpossible,
                "table \(table.name) has no rows at home in \(lost); they are at home in "
                    + record.ranges.map(\.home.rawValue).joined(separator: ", "))
        }
        let undone = try await endTransactions(of: lostRanges, end: end)
        for position in reports.indices { reports[position].undone = undone }
        return reports
    }
}
