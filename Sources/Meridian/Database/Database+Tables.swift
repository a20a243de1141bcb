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
        let schema = try TableSchema(encoded: found.descriptor.schema)
        let resolved = ResolvedTable(found, schema: schema, topology: host.topology)
        try check(table, layout, against: resolved)
        try await waitUntilKnown(resolved, end: end)
        host.tables.insert(resolved)
        return resolved
    }

    private func check<Row>(
        _ table: Table<Row>, _ layout: TableLayout, against known: ResolvedTable
    ) throws(MeridianError) {
        let stored = known.record.descriptor
        var difference = layout.schema.mismatch(with: known.schema)
        if layout.locality != stored.locality { difference = "its locality is \(stored.locality)" }
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
        return try result.rows[0].first?.version.value.map { try TableRecord(encoded: $0) }
    }

    private func make<Row>(
        _ table: Table<Row>, _ layout: TableLayout, end: Instant
    ) async throws -> TableRecord {
        let key = try Catalog.key(ofTable: table.name)
        let counters = try Catalog.countersKey()
        while true {
            let result = try await read(Catalog.systemRange, [.get(key), .get(counters)], at: nil, end: end)
            if let value = result.rows[0].first?.version.value { return try TableRecord(encoded: value) }
            // Table 0 and range 1 are the system's.
            var next: (table: UInt32, range: UInt64) = (1, 2)
            if let value = result.rows[1].first?.version.value {
                let values = try RowCoding.decode(value, name: "system.counters")
                guard values.count == 2, case .integer(let table) = values[0], case .integer(let range) = values[1]
                else { throw MeridianError(.corruption, "system.counters is malformed") }
                next = (UInt32(truncatingIfNeeded: table), UInt64(bitPattern: range))
            }
            let record = try plan(table, layout, id: TableID(next.table), firstRange: next.range)
            let after: [Value] = [
                .integer(Int64(next.table) + 1),
                .integer(Int64(bitPattern: next.range + UInt64(record.ranges.count))),
            ]
            let request = CommitRequest(
                id: host.newRequestID(),
                preconditions: [.absent(key), .unchanged(counters, since: result.timestamp)],
                mutations: [
                    Mutation(key: key, value: try record.encoded()),
                    Mutation(key: counters, value: try RowCoding.encode(after, name: "system.counters")),
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
        _ table: Table<Row>, _ layout: TableLayout, id: TableID, firstRange: UInt64
    ) throws -> TableRecord {
        var descriptor = TableDescriptor(
            id: id, name: table.name, locality: layout.locality, goal: table.survival, placement: table.placement,
            mode: table.mode, schema: try layout.schema.encoded())
        descriptor.failover = table.failover
        let planner = ReplicaPlanner(topology: host.topology)
        var homes: [Region?] = [nil]
        if case .regionalByRow = layout.locality { homes = host.topology.regions }
        try host.rules.check(
            descriptor, homes: homes.compactMap { try? planner.homeRegion(of: descriptor, given: $0) },
            in: host.topology)
        var ranges: [RangeDescriptor] = []
        for (offset, home) in homes.enumerated() {
            let range = RangeID(firstRange + UInt64(offset))
            let plan = try planner.plan(descriptor, home: home, range: range)
            let span = KeySpan(prefix: KeyEncoder.prefix(table: id, region: plan.home))
            ranges.append(RangeDescriptor(id: range, span: span, table: id, plan: plan))
        }
        return TableRecord(descriptor: descriptor, ranges: ranges)
    }

    /// Waits until each of the table's ranges has a leaseholder that answers.
    private func waitUntilKnown(_ table: ResolvedTable, end: Instant) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for range in table.record.ranges {
                group.addTask { _ = try await read(range.id, [], at: nil, end: end) }
            }
            try await group.waitForAll()
        }
    }
}
