import MeridianConvergence
import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// A table as the cluster knows it: its number, and the range for each home region.
final class ResolvedTable: Sendable {
    let name: String
    let id: TableID
    let schema: TableSchema
    let record: TableRecord
    let topology: Topology
    /// By the region that the rows name. A table that is not regional by row has one.
    let ranges: [Region: RangeDescriptor]
    /// How the rows of an active-active table come together.
    let shape: RecordShape?
    private let keyTypes: [ColumnType]
    private let keyTables: [RangeID: TableID]

    /// - Throws: `.corruption`, `.newerFormat`.
    init(_ record: TableRecord, topology: Topology) throws(MeridianError) {
        schema = try TableSchema(encoded: record.descriptor.schema)
        self.name = record.descriptor.name
        self.id = record.descriptor.id
        self.record = record
        self.topology = topology
        self.keyTypes = schema.keyTypes
        shape =
            if let resolvers = record.descriptor.resolvers {
                try ResolverPlan(encoded: resolvers).shape(schema)
            } else {
                nil
            }
        keyTables = Dictionary(uniqueKeysWithValues: record.copies.map { ($0.range, $0.number) })
        let inUse = Set(record.copies.filter { $0.state == .active }.map(\.range))
        self.ranges = Dictionary(
            record.ranges.filter { record.copies.isEmpty || inUse.contains($0.id) }.map { ($0.partition, $0) },
            uniquingKeysWith: { $1 })
    }

    /// Whether each region has a copy of its own.
    var isActiveActive: Bool { shape != nil }

    var isRegionalByRow: Bool {
        if case .regionalByRow = record.descriptor.locality { true } else { false }
    }

    var isGlobal: Bool { record.descriptor.locality == .global }

    /// The home regions, the given one first, the others by their distance from it; of an active-active table the
    /// nearest copy alone, since each has all rows.
    func homes(nearest region: Region) -> [RangeDescriptor] {
        if isActiveActive { return [copy(nearest: region)] }
        guard record.ranges.count > 1 else { return record.ranges }
        return record.ranges.sorted { first, second in
            distance(region, first.home) < distance(region, second.home)
        }
    }

    /// The home regions in which to look for a row of which only the key is known, in stages: what the first stages
    /// find is not looked for in later ones.
    ///
    /// To ask is to tell the key. So a restricted table's key is told to other jurisdictions only after the client's
    /// own, and not at all where its rule refuses that (`JurisdictionRule.lookupsOutside`).
    /// - Parameters:
    ///   - gateway: the nearest to it is asked first.
    ///   - client: whose law tells what may be asked.
    ///   - first: the home to ask first, if not the nearest. One that the rule would not ask is asked last.
    func stages(
        near gateway: Region, for client: Region, first: Region? = nil, rules: JurisdictionRules
    ) -> [[RangeDescriptor]] {
        if isActiveActive { return [[copy(nearest: gateway)]] }
        let own = topology.jurisdiction(of: client)
        var homes = homes(nearest: first ?? gateway)
        if gateway != client, record.descriptor.placement == .restricted {
            // A detour to another gateway tells a key to nobody to whom it would not be told without.
            homes.removeAll { !rules.allowsLookup(from: own, to: topology.jurisdiction(of: $0.home)) }
            if homes.isEmpty { return [] }
        }
        if record.descriptor.placement == .restricted, let law = first.map({ topology.jurisdiction(of: $0) }),
            !rules.allowsLookup(from: own, to: law)
        {
            // A row that is at home here and is to move abroad is not to be asked for there first.
            homes = homes.filter { topology.jurisdiction(of: $0.home) == own } + [homes[0]]
            return homes.map { [$0] }
        }
        let others = homes.dropFirst()
        guard record.descriptor.placement == .restricted else { return [[homes[0]], Array(others)] }
        let near = topology.jurisdiction(of: homes[0].home)
        let inside = others.filter { [own, near].contains(topology.jurisdiction(of: $0.home)) }
        let outside = others.filter { range in
            let law = topology.jurisdiction(of: range.home)
            guard ![own, near].contains(law) else { return false }
            return rules.allowsLookup(from: own, to: law) || Planted.isOn(.lookupsLeave)
        }
        return [[homes[0]], inside, outside]
    }

    private func distance(_ origin: Region, _ destination: Region) -> Int64 {
        origin == destination ? -1 : topology.matrix.roundTripNanoseconds(from: origin, to: destination)
    }

    /// The copy of an active-active table that a client of this region uses.
    func copy(nearest client: Region) -> RangeDescriptor {
        ranges[client]
            ?? ranges.values.min {
                (distance(client, $0.home), $0.home.rawValue) < (distance(client, $1.home), $1.home.rawValue)
            } ?? record.ranges[0]
    }

    /// The range that holds a row, for a client in a region.
    /// - Throws: `.unknownRegion` when the row names a region that the topology lacks.
    func range(ofRow values: [Value], for client: Region) throws(MeridianError) -> RangeDescriptor {
        if isActiveActive { return copy(nearest: client) }
        guard isRegionalByRow, let region = schema.region(of: values) else { return record.ranges[0] }
        return try range(in: region)
    }

    func range(in region: Region) throws(MeridianError) -> RangeDescriptor {
        if !isRegionalByRow, !isActiveActive { return record.ranges[0] }
        guard let range = ranges[region] else {
            if isActiveActive {
                throw MeridianError(
                    .unknownRegion,
                    "table \(name) has no copy in \(region); it has copies in "
                        + ranges.keys.map(\.rawValue).sorted().joined(separator: ", "))
            }
            throw MeridianError(
                .unknownRegion,
                "table \(name): a row names a region that the cluster lacks; it has "
                    + topology.regions.map(\.rawValue).joined(separator: ", "))
        }
        return range
    }

    func key(
        _ values: [Value], index: IndexID = .primary, in range: RangeDescriptor
    ) throws(MeridianError) -> Key {
        try KeyEncoder.key(
            table: keyTable(of: range), index: index, region: range.partition, values: values, types: keyTypes,
            name: name)
    }

    func keyTable(of range: RangeDescriptor) -> TableID { keyTables[range.id] ?? id }

    /// All keys of one index of a range.
    func span(of index: IndexID, in range: RangeDescriptor) -> KeySpan {
        KeySpan(prefix: KeyEncoder.prefix(table: keyTable(of: range), index: index, region: range.partition))
    }

    /// The keys that begin with these values.
    func span(_ prefix: [Value], in range: RangeDescriptor) throws(MeridianError) -> KeySpan {
        if prefix.isEmpty { return span(of: .primary, in: range) }
        var encoder = KeyEncoder(table: keyTable(of: range), region: range.partition)
        for (value, type) in zip(prefix, keyTypes) { try encoder.append(value, as: type, name: name) }
        return KeySpan(prefix: encoder.bytes)
    }
}

/// The tables that this process has used. What is kept of a range can be old where its home has moved: gateways route
/// by the catalog, and only how near a range is is taken from here.
package final class TableCache: Sendable {
    package init() {}

    private let tables = Mutex<[String: ResolvedTable]>([:])

    subscript(name: String) -> ResolvedTable? { tables.withLock { $0[name] } }
    func insert(_ table: ResolvedTable) { tables.withLock { $0[table.name] = table } }
}
