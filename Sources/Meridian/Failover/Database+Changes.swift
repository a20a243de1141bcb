import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Changing a table while it is used: its mode, its goal, its policy, and where it is at home.
///
/// A change is an ordinary commit to the table's record in the system range; every node hears of it there, and the
/// leaseholders bring their groups to what it says (`MeridianReplica/Replica/Replica+Reconfiguration.swift`), while
/// reads and writes go on. Copies come before votes: a new member gets the rows as a learner first.
///
/// What an acknowledged commit is worth on the way: what the old mode promised, or the new one. A stronger mode counts
/// from when the call returns; a weaker one from when it begins, because whoever weakens a mode may do so since the old
/// one cannot be met any more.
///
/// The caller waits until it is done. If the deadline passes before, the change goes on; calling again waits for it.
extension Database {
    /// Changes when a table's commits are acknowledged, and what it survives.
    /// - Parameters:
    ///   - survival: the goal, if it is to be another one.
    ///   - failover: the policy, if it is to be another one.
    /// - Throws: `.placementImpossible` when the topology cannot carry the mode, and then nothing has changed;
    ///   `.rowNotFound` for a table that was never made; `.deadlineExceeded`.
    public func alter<Row>(
        _ table: Table<Row>, mode: ReplicationMode, survival: SurvivalGoal? = nil, failover: FailoverPolicy? = nil,
        deadline: Duration = .seconds(60)
    ) async throws {
        let end = host.deadline(after: deadline)
        try await change(table.name, end: end) { record in
            record.descriptor.mode = mode
            if let survival { record.descriptor.goal = survival }
            if let failover { record.descriptor.failover = failover }
        }
    }

    /// Moves the home of a table's rows, their leaseholder and voters, to another region. Nothing is lost and nothing
    /// stands still: it is how a failover is practised, and how rows come back after one.
    /// - Parameters:
    ///   - partition: the region that the rows name, in a table that is regional by row; `nil` moves all.
    /// - Throws: as `alter`; `.jurisdictionViolation` when a restricted table's rows would leave their jurisdiction.
    public func moveHome<Row>(
        of table: Table<Row>, partition: Region? = nil, to home: Region, deadline: Duration = .seconds(60)
    ) async throws {
        let end = host.deadline(after: deadline)
        try await change(table.name, end: end) { record in
            for position in record.ranges.indices {
                guard partition == nil || record.ranges[position].partition == partition,
                    !record.ranges[position].isGivenUp
                else { continue }
                record.ranges[position].home = home
            }
        }
    }

    /// Changes what a table's record asks for, plans its ranges anew, and waits until they are so.
    private func change(
        _ name: String, end: Instant, _ body: @escaping @Sendable (inout TableRecord) throws -> Void
    ) async throws {
        // Members are changed one step at a time: what is under way is finished first.
        try await finishChanges(name, end: end)
        let planner = ReplicaPlanner(topology: host.topology)
        try await giveAuthority(for: name, after: body, planner, end: end)
        _ = try await updateRecord(name, end: end) { record in
            let old = record
            try body(&record)
            for position in record.ranges.indices where !record.ranges[position].isGivenUp {
                let plan = try planner.plan(record, rangeAt: position)
                record.ranges[position].adopt(plan, from: old.ranges[position])
            }
            return record != old
        }
        try await finishChanges(name, end: end)
    }

    static func cannotMove(_ name: String) -> MeridianError {
        MeridianError(
            .placementImpossible,
            "table \(name) is active-active: its copies commit each for itself and have no other mode or home. Add and "
                + "retire copies with addCopy(of:in:) and retireCopy(of:in:), or move the rows to another table")
    }

    /// Lets the regions serve at once in which rows will be at home after a change, if the table fails over by itself.
    private func giveAuthority(
        for name: String, after body: (inout TableRecord) throws -> Void, _ planner: ReplicaPlanner, end: Instant
    ) async throws {
        let old = try await record(name, end: end)
        guard old.descriptor.locality != .activeActive else { throw Self.cannotMove(name) }
        var new = old
        try body(&new)
        // What the topology cannot carry is refused before anything has changed.
        for position in new.ranges.indices { _ = try planner.plan(new, rangeAt: position) }
        guard new.descriptor.failover == .automatic else { return }
        let serving = old.descriptor.failover == .automatic ? Set(old.ranges.map(\.home)) : []
        try await giveAuthority(to: Set(new.ranges.map(\.home)).subtracting(serving), end: end)
    }

    /// Lets regions serve the tables that fail over by themselves, before they are at home there.
    func giveAuthority(to homes: Set<Region>, end: Instant) async throws {
        for home in homes.sorted() { try await RegionAuthority.grantTerm(to: home, by: self, end: end) }
    }

    /// Waits until the ranges of a table are what its record says, and notes that they are.
    func finishChanges(_ name: String, end: Instant) async throws {
        while true {
            let record = try await record(name, end: end)
            let open = record.ranges.filter { $0.transition != nil && !$0.isGivenUp }
            guard !open.isEmpty else { return noteTable(record) }
            for range in open { try await waitUntilSettled(range, table: name, end: end) }
            _ = try await updateRecord(name, end: end) { current in
                for range in open {
                    guard let position = current.ranges.firstIndex(of: range) else { continue }
                    current.ranges[position].advanceChange()
                }
                return true
            }
        }
    }

    /// Whether a leaseholder says that the present step of a range's change is done.
    func isSettled(_ range: RangeDescriptor, patience: Duration) async throws -> Bool {
        let body = GatewayCall.Body.request(.status(of: nil))
        let answer = try await host.call(
            range.id, body, from: region, patience: patience, mayBeRepeated: false)
        guard case .status(let status) = answer else { return false }
        guard status.isLeader, status.revision >= range.revision else { return false }
        return range.keepsEarlierHistory
            ? status.hasMembers : status.isSettled && range[status.node]?.region == range.home
    }

    private func waitUntilSettled(_ range: RangeDescriptor, table: String, end: Instant) async throws {
        while try await !isSettled(range, patience: .seconds(2)) {
            guard host.now < end else {
                throw MeridianError(
                    .deadlineExceeded,
                    "table \(table), rows of \(range.partition): its members are not yet where they should be. "
                        + "The change goes on; call again to wait for it, and see that the nodes of \(range.home) run",
                    retry: .after(.seconds(1)))
            }
            await host.pause(for: .milliseconds(20))
        }
    }

    // MARK: Records

    /// How old what is read of the tables near by may be.
    private static let recordStaleness = Duration.milliseconds(500)

    /// The tables as this region's own copy of the system range has them.
    func tableRecords(end: Instant) async throws -> [TableRecord] {
        guard let now = host.latestTimestamp(in: region) else { return [] }
        let timestamp = now.advanced(byNanoseconds: -Self.recordStaleness.nanoseconds)
        let rows = try await rows(
            of: Catalog.tableSpan, in: Catalog.systemRange, at: timestamp, fromNearest: true, end: end)
        return rows.compactMap { row in row.version.value.flatMap { try? TableRecord(encoded: $0) } }
    }

    func record(_ name: String, end: Instant) async throws -> TableRecord {
        try await datedRecord(name, end: end).record
    }

    /// A table's record as it was at a time.
    struct DatedRecord: Sendable {
        var record: TableRecord
        var timestamp: Timestamp

        init(_ name: String, _ row: KeyedVersion?, at timestamp: Timestamp) throws {
            guard let value = row?.version.value else { throw Database.noTable(name) }
            record = try TableRecord(encoded: value)
            self.timestamp = timestamp
        }
    }

    func datedRecord(_ name: String, end: Instant) async throws -> DatedRecord {
        let key = try Catalog.key(ofTable: name)
        let result = try await read(Catalog.systemRange, [.get(key)], at: nil, end: end)
        return try DatedRecord(name, result.row(0), at: result.timestamp)
    }

    private static func noTable(_ name: String) -> MeridianError {
        MeridianError(.rowNotFound, "there is no table \(name); a table is made by `create` or by its first write")
    }

    /// Changes a table's record, once, whoever else changes it.
    /// - Parameters:
    ///   - known: the record as the caller has it, which spares a question. Should it be old, it is read anew.
    ///   - rows: what else is committed with it, and under which conditions.
    ///   - body: says whether there is anything to change. It may run several times.
    /// - Returns: the record as it is now.
    @discardableResult
    func updateRecord(
        _ name: String, from known: DatedRecord? = nil, end: Instant,
        rows: () throws -> (conditions: [Precondition], mutations: [Mutation]) = { ([], []) },
        _ body: (inout TableRecord) throws -> Bool
    ) async throws -> DatedRecord {
        let key = try Catalog.key(ofTable: name)
        var known = known
        while true {
            var dated = if let known { known } else { try await datedRecord(name, end: end) }
            known = nil
            guard try body(&dated.record) else { return dated }
            dated.record.version += 1
            let more = try rows()
            let request = CommitRequest(
                id: host.newRequestID(), preconditions: [.unchanged(key, since: dated.timestamp)] + more.conditions,
                mutations: [Mutation(key: key, value: try dated.record.encoded())] + more.mutations)
            do {
                dated.timestamp = try await commit(Catalog.systemRange, request, end: end).result.timestamp
                noteTable(dated.record)
                return dated
            } catch let error as MeridianError where error.code == .conflict && more.conditions.isEmpty {
                continue
            }
        }
    }

    /// This process goes on with the table as it is now.
    func noteTable(_ record: TableRecord) {
        guard let table = try? ResolvedTable(record, topology: host.topology) else { return }
        host.tables.insert(table)
    }
}

extension ReplicaPlanner {
    /// Where a range's replicas belong now.
    /// - Throws: `.placementImpossible`, `.unknownRegion`, `.jurisdictionViolation`.
    func plan(_ record: TableRecord, rangeAt position: Int) throws(MeridianError) -> ReplicaPlan {
        let range = record.ranges[position]
        var descriptor = record.descriptor
        if case .regional = descriptor.locality { descriptor.locality = .regional(in: range.home) }
        let plan = try plan(descriptor, home: range.home, range: range.id)
        if let law = range.jurisdiction, plan.jurisdiction != law {
            throw MeridianError(
                .jurisdictionViolation,
                "table \(descriptor.name) is restricted: its rows of \(range.partition) (\(law)) cannot be at home in "
                    + "\(range.home) (\(plan.jurisdiction?.rawValue ?? "none")); choose a region of \(law)")
        }
        return plan
    }
}

extension RangeDescriptor {
    /// Takes over where replicas belong, and notes what they come from.
    mutating func adopt(_ plan: ReplicaPlan, from old: RangeDescriptor) {
        let differs =
            plan.members != old.members || plan.commitRule != old.commitRule || home != old.home
            || plan.preferredLeaders != old.preferredLeaders
        guard differs else { return }
        setMembers(plan.members)
        commitRule = plan.commitRule
        preferredLeaders = plan.preferredLeaders
        revision = old.revision + 1
        let isWeaker = plan.commitRule.asksForLess(than: old.commitRule, voters: plan.voters)
        transition = Transition(members: old.hosts, commitRule: isWeaker ? nil : old.commitRule)
    }
}

extension CommitRule {
    /// Whether every commit that the other rule acknowledges, with voters at its home, is one that this rule would.
    fileprivate func asksForLess(than other: CommitRule, voters: [Member]) -> Bool {
        guard case .semiSynchronous(let home, let regions) = other, voters.allSatisfy({ $0.region == home }) else {
            return false
        }
        switch self {
        case .semiSynchronous(home, let fewer): return fewer < regions
        case .semiSynchronous: return false
        case .majority, .asynchronous: return true
        case .regionDiverse: return false
        }
    }
}
