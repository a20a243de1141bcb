import MeridianCore
import MeridianPlacement
import MeridianReplica

/// The copies of an active-active table: where they are, and how one comes and goes.
extension Database {
    /// The regions that have a copy in use, in the topology's order.
    /// - Throws: what finding or making the table throws.
    public func copies<Row>(of table: Table<Row>, deadline: Duration = .seconds(10)) async throws -> [Region] {
        let record = try await activeRecord(table, end: host.deadline(after: deadline))
        let regions = Set(record.copies.filter { $0.state == .active }.map(\.region))
        return host.topology.regions.filter(regions.contains)
    }

    /// Gives a region a copy of an active-active table, and waits until it has all that the others have.
    ///
    /// Until then the region's clients go on with the nearest other copy. If the region had a copy that was lost,
    /// retire that first.
    /// - Throws: `.placementImpossible` when the region has a copy, `.unknownRegion`, `.jurisdictionViolation`;
    ///   `.deadlineExceeded`, and then the copy goes on taking rows in: call again to wait for it.
    public func addCopy<Row>(
        of table: Table<Row>, in region: Region, deadline: Duration = .seconds(60)
    ) async throws {
        let end = host.deadline(after: deadline)
        var record = try await activeRecord(table, end: end)
        if record.copies.contains(where: { $0.region == region && $0.state == .active }) {
            throw MeridianError(
                .placementImpossible,
                "table \(table.name) has a copy in \(region); if that is lost, retire it first with retireCopy(of:in:)")
        }
        if !record.copies.contains(where: { $0.region == region && $0.state == .joining }) {
            try check(record.descriptor, regions: [region] + record.copies.filter(\.isInUse).map(\.region))
            try await waitUntilReadmitted(region, table: table.name, end: end)
            record = try await insertCopy(in: region, record.descriptor.name, end: end)
        }
        while !record.copies.contains(where: { $0.region == region && $0.state == .active }) {
            guard host.now < end else {
                throw MeridianError(
                    .deadlineExceeded,
                    "table \(table.name): the copy in \(region) has not taken in yet what the others have. It goes on; "
                        + "call again to wait for it, and see that the nodes of \(region) run",
                    retry: .after(.seconds(1)))
            }
            await host.pause(for: .milliseconds(50))
            record = try await self.record(table.name, end: end)
        }
        noteTable(record)
    }

    /// Puts a region's copy of an active-active table out of use: given up, or lost with its disks.
    ///
    /// What it has written and no other copy has pulled is not in the table any more. Of a copy that lives, call it
    /// when `convergence(of:)` shows that the others have caught up. A copy that comes back later is not asked.
    /// Transactions that it takes part in are decided without it.
    /// - Returns: what of these was undone in other tables too (`undoneCommits(deadline:)`).
    /// - Throws: `.placementImpossible` for the last copy, or where there is none.
    @discardableResult
    public func retireCopy<Row>(
        of table: Table<Row>, in region: Region, deadline: Duration = .seconds(10)
    ) async throws -> [UndoneCommit] {
        let end = host.deadline(after: deadline)
        _ = try await activeRecord(table, end: end)
        let record = try await updateRecord(table.name, end: end) { record in
            let others = record.copies.filter { $0.state == .active && $0.region != region }
            guard let position = record.copies.firstIndex(where: { $0.isInUse && $0.region == region }) else {
                throw MeridianError(.placementImpossible, "table \(table.name) has no copy in \(region) to retire")
            }
            guard !others.isEmpty else {
                throw MeridianError(
                    .placementImpossible, "table \(table.name) has its only copy in \(region); add another one first")
            }
            record.copies[position].state = .retired
            return true
        }.record
        let retired = record.copies.filter { $0.region == region && $0.state == .retired }.map(\.range)
        return try await endTransactions(of: Set(retired), end: end)
    }

    // MARK: Records

    /// Where a new table's copies go.
    func activeRegions<Row>(of table: Table<Row>) throws(MeridianError) -> [Region] {
        guard let regions = table.regions else { return host.topology.regions }
        guard !regions.isEmpty else {
            throw MeridianError(.placementImpossible, "table \(table.name) is to have copies in no region; name some")
        }
        guard Set(regions).count == regions.count else {
            throw MeridianError(.placementImpossible, "table \(table.name) names a region twice; name each once")
        }
        return regions
    }

    /// - Throws: `.jurisdictionViolation` when a restricted table's copies would be under several laws.
    func check(_ table: TableDescriptor, regions: [Region]) throws(MeridianError) {
        for region in regions { try host.topology.require(region) }
        let laws = Set(regions.map { host.topology.jurisdiction(of: $0) })
        guard table.placement == .restricted, laws.count > 1 else { return }
        throw MeridianError(
            .jurisdictionViolation,
            "table \(table.name) is restricted and active-active: each copy has all rows, so all must be under one "
                + "jurisdiction, and these are under \(laws.map(\.rawValue).sorted().joined(separator: ", ")). Name "
                + "the regions of one, or home the rows by region")
    }

    func activeRecord<Row>(_ table: Table<Row>, end: Instant) async throws -> TableRecord {
        guard try table.layout.locality == .activeActive else {
            throw MeridianError(
                .invalidTable, "table \(table.name) is not active-active; declare it with convergence:")
        }
        _ = try await resolve(table, end: end)
        return try await record(table.name, end: end)
    }

    /// Waits until the region's nodes are members of the cluster, also those that lost their disks (`replace`). A range
    /// that is made before that is one that such a node may have known in an earlier life, and waits for what it held.
    private func waitUntilReadmitted(_ region: Region, table name: String, end: Instant) async throws {
        for node in host.topology.nodes(in: region) {
            while true {
                let answer = try? await host.call(
                    Catalog.systemRange, .request(.status(of: node.id)), from: region, patience: .seconds(1),
                    mayBeRepeated: false)
                if case .status(let status)? = answer, status.node == node.id, !status.isRecovering { break }
                guard host.now < end else {
                    throw MeridianError(
                        .unavailable,
                        "table \(name) can have no copy in \(region) yet: node \(node.name) does not run, or has lost "
                            + "its disk and was not readmitted; start or replace it, and call again",
                        retry: .after(.seconds(1)))
                }
                await host.pause(for: .milliseconds(50))
            }
        }
    }

    private func insertCopy(in region: Region, _ name: String, end: Instant) async throws -> TableRecord {
        let key = try Catalog.countersKey()
        let planner = ReplicaPlanner(topology: host.topology)
        while true {
            let result = try await read(Catalog.systemRange, [.get(key)], at: nil, end: end)
            let before = try CatalogCounters(result.row(0)?.version.value)
            var after = before
            // As `addCopy` takes them.
            _ = (after.takeRange(), after.takeTable())
            let counters = Mutation(key: key, value: try after.encoded())
            do {
                return try await updateRecord(
                    name, end: end, rows: { ([.unchanged(key, since: result.timestamp)], [counters]) }
                ) { record in
                    var numbers = before
                    try record.addCopy(in: region, .joining, planner, &numbers)
                    return true
                }.record
            } catch let error as MeridianError where error.code == .conflict && host.now < end {
                continue
            }
        }
    }
}

extension TableCopy {
    var isInUse: Bool { state != .retired }
}

extension TableRecord {
    /// Adds a copy, with a range and a number of its own.
    mutating func addCopy(
        in region: Region, _ state: TableCopy.State, _ planner: ReplicaPlanner, _ numbers: inout CatalogCounters
    ) throws(MeridianError) {
        let range = numbers.takeRange()
        let number = numbers.takeTable()
        let plan = try planner.plan(descriptor, home: region, range: range)
        ranges.append(
            RangeDescriptor(
                id: range, span: KeySpan(prefix: KeyEncoder.prefix(table: number)), table: descriptor.id, plan: plan))
        copies.append(TableCopy(number: number, range: range, region: region, state: state))
    }
}
