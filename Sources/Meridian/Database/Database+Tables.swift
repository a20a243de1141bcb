import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// Tables: made once, known everywhere.
extension Database {
    /// Makes a table, unless it is there already. The first write to a table does so by itself.
    /// - Throws: `.invalidTable`, `.unknownRegion`, `.placementImpossible`, `.jurisdictionViolation` for a declaration
    ///   that the topology cannot carry; `.tableMismatch` when a table of this name has other columns or another
    ///   placement.
    public func create<Row>(
        _ table: Table<Row>, deadline: Duration = .seconds(30)
    ) async throws {
        _ = try await resolve(table, end: host.deadline(after: deadline))
    }

    /// The table as the cluster knows it, made if it is not there.
    func resolve<Row>(_ table: Table<Row>, end: Instant) async throws -> ResolvedTable {
        let layout = try table.layout
        if let known = host.tables[table.name] {
            try check(table, layout, against: known)
            return known
        }
        let record = try await find(table.name, end: end)
        let found: TableRecord
        if let record { found = record } else { found = try await make(table, layout, end: end) }
        let resolved = try ResolvedTable(found, topology: host.topology)
        try check(table, layout, against: resolved)
        // A copy of an active-active table needs none of the others, once they are there.
        let needed = record != nil && resolved.isActiveActive ? resolved.homes(nearest: region) : found.ranges
        try await waitUntilKnown(needed, end: end)
        host.tables.insert(resolved)
        return resolved
    }

    private func check<Row>(
        _ table: Table<Row>, _ layout: TableLayout, against known: ResolvedTable
    ) throws(MeridianError) {
        let stored = known.record.descriptor
        var difference = layout.schema.mismatch(with: known.schema)
        if layout.locality != stored.locality { difference = "its locality is \(stored.locality)" }
        if try layout.resolvers?.encoded() != stored.resolvers {
            difference = "it resolves concurrent writes otherwise"
        }
        if table.placement != stored.placement { difference = "its placement is \(stored.placement)" }
        // These can be changed while the table is used: a declaration says how the table is made.
        if known.record.version == 0 {
            if table.survival != stored.goal { difference = "its survival goal is \(stored.goal)" }
            if table.mode != stored.mode { difference = "its mode is \(stored.mode)" }
            if table.failover != stored.failover { difference = "its failover policy is \(stored.failover)" }
        }
        if let difference {
            throw MeridianError(
                .tableMismatch,
                "table \(table.name) exists and differs: \(difference). Declare it alike, or choose another name")
        }
    }

    private func find(_ name: String, end: Instant) async throws -> TableRecord? {
        let key = try Catalog.key(ofTable: name)
        let result = try await read(Catalog.systemRange, [.get(key)], at: nil, end: end)
        return try result.row(0)?.version.value.map { try TableRecord(encoded: $0) }
    }

    private func make<Row>(
        _ table: Table<Row>, _ layout: TableLayout, end: Instant
    ) async throws -> TableRecord {
        let key = try Catalog.key(ofTable: table.name)
        let counters = try Catalog.countersKey()
        var serving: Set<Region> = []
        while true {
            let result = try await read(Catalog.systemRange, [.get(key), .get(counters)], at: nil, end: end)
            if let value = result.row(0)?.version.value { return try TableRecord(encoded: value) }
            var next = try CatalogCounters(result.row(1)?.version.value)
            let record = try plan(table, layout, numbers: &next)
            let homes = record.descriptor.failover == .automatic ? Set(record.ranges.map(\.home)) : []
            if !homes.isSubset(of: serving) {
                try await giveAuthority(to: homes.subtracting(serving), end: end)
                serving = homes
                // Others have made tables meanwhile.
                continue
            }
            let request = CommitRequest(
                id: host.newRequestID(),
                preconditions: [.absent(key), .unchanged(counters, since: result.timestamp)],
                mutations: [
                    Mutation(key: key, value: try record.encoded()), Mutation(key: counters, value: try next.encoded()),
                ])
            do {
                _ = try await commit(Catalog.systemRange, request, end: end)
                return record
            } catch let error as MeridianError where error.code == .conflict || error.code == .duplicateKey {
                // Somebody else made a table at the same time.
                continue
            }
        }
    }

    /// Decides where the table's ranges lie.
    private func plan<Row>(
        _ table: Table<Row>, _ layout: TableLayout, numbers: inout CatalogCounters
    ) throws -> TableRecord {
        let id = numbers.takeTable()
        var descriptor = TableDescriptor(
            id: id, name: table.name, locality: layout.locality, goal: table.survival, placement: table.placement,
            mode: table.mode, schema: try layout.schema.encoded())
        descriptor.failover = table.failover
        descriptor.resolvers = try layout.resolvers?.encoded()
        let planner = ReplicaPlanner(topology: host.topology)
        var homes: [Region?] = [nil]
        if case .regionalByRow = layout.locality { homes = host.topology.regions }
        if layout.locality == .activeActive {
            let regions = try activeRegions(of: table)
            try check(descriptor, regions: regions)
            homes = regions
        }
        try host.rules.check(
            descriptor, homes: homes.compactMap { try? planner.homeRegion(of: descriptor, given: $0) },
            in: host.topology)
        var record = TableRecord(descriptor: descriptor, ranges: [])
        for home in homes {
            if let home, layout.locality == .activeActive {
                try record.addCopy(in: home, .active, planner, &numbers)
                continue
            }
            let range = numbers.takeRange()
            let plan = try planner.plan(descriptor, home: home, range: range)
            let span = KeySpan(prefix: KeyEncoder.prefix(table: id, region: plan.home))
            record.ranges.append(RangeDescriptor(id: range, span: span, table: id, plan: plan))
        }
        return record
    }

    /// Waits until each of the ranges has a leaseholder that answers.
    func waitUntilKnown(_ ranges: [RangeDescriptor], end: Instant) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for range in ranges {
                group.addTask { _ = try await read(range.id, [], at: nil, end: end) }
            }
            try await group.waitForAll()
        }
    }
}
