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
    private let keyTypes: [ColumnType]

    init(_ record: TableRecord, schema: TableSchema, topology: Topology) {
        self.name = record.descriptor.name
        self.id = record.descriptor.id
        self.schema = schema
        self.record = record
        self.topology = topology
        self.keyTypes = schema.keyTypes
        self.ranges = Dictionary(uniqueKeysWithValues: record.ranges.map { ($0.partition, $0) })
    }

    var isRegionalByRow: Bool {
        if case .regionalByRow = record.descriptor.locality { true } else { false }
    }

    var isGlobal: Bool { record.descriptor.locality == .global }

    /// The home regions, the given one first, the others by their distance from it.
    func homes(nearest region: Region) -> [RangeDescriptor] {
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
    /// - Parameter first: the home to ask first, if not the nearest. One that the rule would not ask is asked last.
    func stages(of client: Region, first: Region? = nil, rules: JurisdictionRules) -> [[RangeDescriptor]] {
        let own = topology.jurisdiction(of: client)
        var homes = homes(nearest: first ?? client)
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

    /// The range that holds a row.
    /// - Throws: `.unknownRegion` when the row names a region that the topology lacks.
    func range(ofRow values: [Value]) throws(MeridianError) -> RangeDescriptor {
        guard isRegionalByRow, let region = schema.region(of: values) else { return record.ranges[0] }
        return try range(in: region)
    }

    func range(in region: Region) throws(MeridianError) -> RangeDescriptor {
        if !isRegionalByRow { return record.ranges[0] }
        guard let range = ranges[region] else {
            throw MeridianError(
                .unknownRegion,
                "table \(name): a row names a region that the cluster lacks; it has "
                    + topology.regions.map(\.rawValue).joined(separator: ", "))
        }
        return range
    }

    func key(_ values: [Value], in range: RangeDescriptor) throws(MeridianError) -> Key {
        try KeyEncoder.key(table: id, region: range.partition, values: values, types: keyTypes, name: name)
    }

    /// The keys that begin with these values.
    func span(_ prefix: [Value], in range: RangeDescriptor) throws(MeridianError) -> KeySpan {
        if prefix.isEmpty { return range.span }
        var encoder = KeyEncoder(table: id, region: range.partition)
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
