/// Topologies from less than every node: ids count from 1 in the order given, names are region and zone, zones fill
/// in turn. `us-east-1` with four nodes has `us-east-1a`, `us-east-1b`, `us-east-1c` and `us-east-1a2`; a region
/// whose name ends in a letter gets a hyphen, as in `paris-a`.
extension Topology {
    /// - Throws: `MeridianError` with `.invalidTopology` or `.unknownRegion`, naming what is wrong and the fix.
    public init(regions: [RegionDescriptor], matrix: LatencyMatrix) throws(MeridianError) {
        guard !regions.isEmpty else { throw Self.invalid("there are no regions; name at least one") }
        var nodes: [NodeDescriptor] = []
        var jurisdictions: [Region: Jurisdiction] = [:]
        for region in regions {
            if jurisdictions.updateValue(region.jurisdiction, forKey: region.region) != nil {
                throw Self.invalid("region \"\(region.region)\" is named twice; give all of its nodes at once")
            }
            try Self.validate(region)
            for index in 0..<region.nodes {
                let id = NodeID(UInt32(nodes.count + 1))
                nodes.append(Self.node(id, at: index, of: region))
            }
        }
        try self.init(nodes: nodes, jurisdictions: jurisdictions, matrix: matrix)
    }

    /// Regions of AWS with their distances as measured (`LatencyMatrix.aws`), zones `a`, `b` and `c`.
    ///
    /// - Parameter jurisdictions: regions under a law that they share, such as `["eu-west-1": "EU", "eu-central-1":
    ///   "EU"]`; a region that it leaves out is under its own.
    /// - Throws: `MeridianError` with `.invalidTopology` or `.unknownRegion`, naming what is wrong and the fix.
    public static func aws(
        _ regions: [Region], nodesPerRegion: Int = 3, jurisdictions: [Region: Jurisdiction] = [:]
    ) throws(MeridianError) -> Topology {
        for region in jurisdictions.keys.sorted() where !regions.contains(region) {
            let hint = NameSuggestion.hint(for: region.rawValue, among: regions.map(\.rawValue))
            throw MeridianError(
                .unknownRegion, "a jurisdiction is given for region \"\(region)\", which the topology lacks.\(hint)")
        }
        let descriptors = regions.map {
            RegionDescriptor($0, nodes: nodesPerRegion, jurisdiction: jurisdictions[$0])
        }
        return try Topology(regions: descriptors, matrix: .aws)
    }

    /// One region named `local`, every node in a zone of its own, no distances: for development and unit tests.
    ///
    /// - Throws: `MeridianError` with `.invalidTopology` when there are no nodes.
    public static func local(nodes: Int = 3) throws(MeridianError) -> Topology {
        guard nodes > 0 else { throw invalid("\(nodes) local nodes; ask for at least one") }
        let zones = (0..<nodes).map { Zone(letters($0)) }
        return try Topology(regions: [RegionDescriptor("local", nodes: nodes, zones: zones)], matrix: .none)
    }

    private static func validate(_ region: RegionDescriptor) throws(MeridianError) {
        guard region.nodes > 0 else {
            throw invalid("region \"\(region.region)\" has \(region.nodes) nodes; give it at least one or leave it out")
        }
        guard !region.zones.isEmpty else {
            throw invalid("region \"\(region.region)\" has no zones; name at least one or leave the list out")
        }
        for (index, zone) in region.zones.enumerated() where region.zones[..<index].contains(zone) {
            throw invalid("region \"\(region.region)\" names zone \"\(zone)\" twice; name each zone once")
        }
    }

    private static func node(_ id: NodeID, at index: Int, of region: RegionDescriptor) -> NodeDescriptor {
        let zone = region.zones[index % region.zones.count]
        let round = index / region.zones.count
        let separator = region.region.rawValue.last?.isNumber == true ? "" : "-"
        let name = region.region.rawValue + separator + zone.rawValue + (round == 0 ? "" : "\(round + 1)")
        return NodeDescriptor(id: id, name: name, region: region.region, zone: zone)
    }

    /// `a` … `z`, `aa`, `ab` …
    private static func letters(_ index: Int) -> String {
        let letter = String(UnicodeScalar(UInt8(ascii: "a") + UInt8(index % 26)))
        return index < 26 ? letter : letters(index / 26 - 1) + letter
    }
}
