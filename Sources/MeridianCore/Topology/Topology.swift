/// Where the cluster's nodes stand: regions with their zones and jurisdictions, nodes, and the distances between
/// regions. Placement is decided from it alone.
///
/// ```swift
/// let world = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
/// let europe = try Topology(
///     regions: [RegionDescriptor("paris", jurisdiction: "EU"), RegionDescriptor("oslo", nodes: 1)],
///     matrix: .uniform(regions: ["paris", "oslo"], milliseconds: 28))
/// ```
///
/// Invariants: at least one region, each with at least one node and known to the matrix; node ids and names are
/// unique and not empty; `nodes` is sorted by id.
public struct Topology: Hashable, Sendable {
    /// In the order in which they were given.
    public let regions: [Region]
    /// All nodes, by id.
    public let nodes: [NodeDescriptor]
    public let matrix: LatencyMatrix
    private let jurisdictions: [Region: Jurisdiction]

    /// A topology of nodes that already have names and ids, such as those of a server's configuration. The regions
    /// come in the order of the node ids.
    ///
    /// - Parameter jurisdictions: the law of each region; a region that it leaves out is under its own.
    /// - Throws: `MeridianError` with `.invalidTopology` or `.unknownRegion`, naming what is wrong and the fix.
    public init(
        nodes: [NodeDescriptor], jurisdictions: [Region: Jurisdiction] = [:], matrix: LatencyMatrix
    ) throws(MeridianError) {
        let nodes = nodes.sorted { $0.id < $1.id }
        var regions: [Region] = []
        for node in nodes where !regions.contains(node.region) { regions.append(node.region) }
        try Self.validate(nodes: nodes, regions: regions, jurisdictions: jurisdictions, matrix: matrix)
        self.regions = regions
        self.nodes = nodes
        self.matrix = matrix
        self.jurisdictions = Dictionary(
            uniqueKeysWithValues: regions.map { ($0, jurisdictions[$0] ?? Jurisdiction($0.rawValue)) })
    }

    /// The law under which a region stands. Precondition: the topology has the region.
    public func jurisdiction(of region: Region) -> Jurisdiction {
        guard let jurisdiction = jurisdictions[region] else {
            preconditionFailure("no region \(region) among \(LatencyMatrix.list(regions))")
        }
        return jurisdiction
    }

    public func contains(_ region: Region) -> Bool { jurisdictions[region] != nil }

    /// The regions under one law, in the topology's order.
    public func regions(in jurisdiction: Jurisdiction) -> [Region] {
        regions.filter { jurisdictions[$0] == jurisdiction }
    }

    /// The nodes of a region, by id; empty when there is no such region.
    public func nodes(in region: Region) -> [NodeDescriptor] { nodes.filter { $0.region == region } }

    /// The zones of a region that have nodes, in the order of their first node.
    public func zones(in region: Region) -> [Zone] {
        var zones: [Zone] = []
        for node in nodes where node.region == region && !zones.contains(node.zone) { zones.append(node.zone) }
        return zones
    }

    public func node(_ id: NodeID) -> NodeDescriptor? { nodes.first { $0.id == id } }
    public func node(named name: String) -> NodeDescriptor? { nodes.first { $0.name == name } }

    /// The regions from the nearest to the farthest, `region` itself first; equals in the topology's order.
    ///
    /// Precondition: the topology has the region.
    package func regionsByDistance(from region: Region) -> [Region] {
        precondition(contains(region), "no region \(region) among \(LatencyMatrix.list(regions))")
        let others = regions.enumerated().filter { $0.element != region }
        let sorted = others.sorted { first, second in
            let distance = matrix.roundTripNanoseconds(from: region, to: first.element)
            let other = matrix.roundTripNanoseconds(from: region, to: second.element)
            return (distance, first.offset) < (other, second.offset)
        }
        return [region] + sorted.map(\.element)
    }

    /// - Throws: `MeridianError` with `.unknownRegion`, with the name that was probably meant.
    package func require(_ region: Region) throws(MeridianError) {
        guard !contains(region) else { return }
        let hint = NameSuggestion.hint(for: region.rawValue, among: regions.map(\.rawValue))
        throw MeridianError(
            .unknownRegion,
            "the topology has no region \"\(region)\".\(hint) It has \(LatencyMatrix.list(regions)).")
    }
}
