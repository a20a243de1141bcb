/// One region of a topology before its nodes have names: how many nodes, in which zones, under which law.
public struct RegionDescriptor: Hashable, Sendable {
    public var region: Region
    /// How many nodes stand in the region. They are dealt to the zones in turn.
    public var nodes: Int
    /// The zones' names, in the order in which they get nodes.
    public var zones: [Zone]
    /// The law of the region; by default its own, named after it, so that `.restricted` rows stay in the region.
    public var jurisdiction: Jurisdiction

    /// The zones of a region that names none.
    public static let defaultZones: [Zone] = ["a", "b", "c"]

    public init(
        _ region: Region, nodes: Int = 3, zones: [Zone] = RegionDescriptor.defaultZones,
        jurisdiction: Jurisdiction? = nil
    ) {
        self.region = region
        self.nodes = nodes
        self.zones = zones
        self.jurisdiction = jurisdiction ?? Jurisdiction(region.rawValue)
    }
}
