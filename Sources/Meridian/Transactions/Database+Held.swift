import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianTransactions

/// Transactions that hold rows, and what becomes of them when a range is given up.
extension Database {
    /// The transactions of several ranges that are not over, for an operator: which rows they hold up, for how long,
    /// and who would have to decide them.
    ///
    /// One is there for moments, as a rule. What stays is held because a range does not answer that it writes: one that
    /// comes back ends it, and for one that does not, `failOver`, `retireCopy` or `giveUp` does.
    /// - Throws: `.unavailable`, `.deadlineExceeded` when the tables cannot be read. A range that does not answer is in
    ///   `unanswered`.
    public func heldTransactions(deadline: Duration = Database.defaultDeadline) async throws -> HeldTransactions {
        let census = try await TransactionCensus(asking: self, end: host.deadline(after: deadline))
        let now = host.latestTimestamp(in: region)
        let transactions = census.found.map { found in
            let status = found.status
            let participants = census.names(of: status.participants)
            let state: HeldTransaction.State
            switch status.state {
            case .prepared: state = .prepared
            case .committed: state = .committed
            case .undone: state = .undone
            }
            let age = now.map { max(0, $0.rawValue - status.timestamp.rawValue) } ?? 0
            return HeldTransaction(
                request: status.id.request, attempt: status.id.attempt, state: state,
                holder: census.name(of: found.holder.id), anchor: participants[0], participants: participants,
                timestamp: status.timestamp, age: .nanoseconds(age))
        }
        return HeldTransactions(
            transactions: transactions.sorted { $0.timestamp < $1.timestamp },
            unanswered: census.unanswered.map { census.name(of: $0) })
    }

    /// The commits that were undone since the cluster was made, because ranges were given up or have failed over.
    public func undoneCommits(deadline: Duration = Database.defaultDeadline) async throws -> [UndoneCommit] {
        let end = host.deadline(after: deadline)
        try await report(try await TransactionCensus(asking: self, end: end), end: end)
        let rows = try await rows(of: try UndoneHistory.span(), in: Catalog.systemRange, end: end)
        return try rows.compactMap { try $0.version.value.map { try UndoneHistory.commit(in: $0) } }
            .sorted { ($0.timestamp, $0.request) < ($1.timestamp, $1.request) }
    }

    /// Gives the rows of a lost home region up for good, where nothing is left to go on from: a table that survives a
    /// zone, and whose home's disks are gone.
    ///
    /// The rows are lost already; what this ends is that others wait for them. Transactions that they take part in are
    /// decided without them. It cannot be taken back: should the disks turn up after all, their replicas serve nobody.
    /// Rows with a copy elsewhere should fail over instead (`failOver(_:from:to:acceptingLoss:deadline:)`), and copies
    /// of an active-active table are retired.
    /// - Parameter lost: the region whose rows, of this table, are given up.
    /// - Returns: what was undone elsewhere. `undoneCommits(deadline:)` has it too.
    /// - Throws: `.placementImpossible` where the table has no rows at home in the region, `.unavailable`,
    ///   `.deadlineExceeded`; call again, it goes on from there.
    @discardableResult
    public func giveUp<Row>(
        _ table: Table<Row>, in lost: Region, deadline: Duration = .seconds(30)
    ) async throws -> [UndoneCommit] {
        let end = host.deadline(after: deadline)
        let record = try await updateRecord(table.name, end: end) { record in
            guard record.descriptor.locality != .activeActive else { throw Self.cannotMove(table.name) }
            var isChanged = false
            for position in record.ranges.indices
            where record.ranges[position].home == lost && !record.ranges[position].isGivenUp {
                record.ranges[position].isGivenUp = true
                record.ranges[position].fence = record.ranges[position].generation.next
                record.ranges[position].revision += 1
                isChanged = true
            }
            return isChanged
        }.record
        let ranges = Set(record.ranges.filter { $0.isGivenUp && $0.home == lost }.map(\.id))
        guard !ranges.isEmpty else {
            throw MeridianError(
                .placementImpossible,
                "table \(table.name) has no rows at home in \(lost); they are at home in "
                    + record.ranges.map(\.home.rawValue).joined(separator: ", "))
        }
        return try await endTransactions(of: ranges, end: end)
    }

    /// Waits until the transactions that ranges have been part of are decided elsewhere, which their leaseholders see
    /// to by themselves, and reports what was undone.
    ///
    /// It does not wait for ever: what it does not see the end of, because still another range does not answer, is
    /// among the held ones, and reported by whoever looks next.
    func endTransactions(of lost: Set<RangeID>, end: Instant) async throws -> [UndoneCommit] {
        let limit = min(end, host.deadline(after: Self.decisionPatience))
        var reported: [TransactionID: UndoneCommit] = [:]
        var quietRounds = 0
        while true {
            let census = try await TransactionCensus(asking: self, end: end)
            reported.merge(try await report(census, end: end)) { $1 }
            let isOpen = census.found.contains { found in
                found.status.state == .prepared && found.status.participants.contains { lost.contains($0.range) }
            }
            quietRounds = isOpen ? 0 : quietRounds + 1
            // What was on its way to be prepared at the first look is there at the second one.
            if quietRounds == 2 || host.now >= limit { break }
            await host.pause(for: .milliseconds(100))
        }
        return reported.values.sorted { ($0.timestamp, $0.request) < ($1.timestamp, $1.request) }
    }

    private static let decisionPatience = Duration.seconds(5)

    /// Keeps what has been undone, and lets those forget it who have held it so far.
    @discardableResult
    private func report(_ census: TransactionCensus, end: Instant) async throws -> [TransactionID: UndoneCommit] {
        var reports: [TransactionID: UndoneCommit] = [:]
        var holders: [(RangeDescriptor, TransactionStatus)] = []
        for found in census.found {
            guard case .undone(let mayBeAcknowledged) = found.status.state else { continue }
            holders.append((found.holder, found.status))
            reports[found.status.id] = UndoneCommit(
                request: "\(found.status.id.request)", timestamp: found.status.timestamp.rawValue,
                participants: census.names(of: found.status.participants),
                mayHaveBeenAcknowledged: mayBeAcknowledged)
        }
        guard !reports.isEmpty else { return [:] }
        let mutations = try reports.keys.sorted().map { try UndoneHistory.mutation(reports[$0]!, $0) }
        let request = CommitRequest(id: host.newRequestID(), preconditions: [], mutations: mutations)
        _ = try await commit(Catalog.systemRange, request, end: end)
        for (holder, status) in holders {
            let forget = ResolveRequest(
                id: status.id, resolution: .forget, participants: status.participants,
                ballot: Ballot(of: status.participants), generation: holder.generation)
            // Whoever does not hear it is asked again by the next who looks.
            _ = try? await host.call(
                holder.id, .request(.resolve(forget)), from: region, patience: .seconds(1), mayBeRepeated: false)
        }
        return reports
    }
}
