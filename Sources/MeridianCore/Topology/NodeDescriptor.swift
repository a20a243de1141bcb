/// One node of the cluster and where it stands.
public struct NodeDescriptor: Hashable, Sendable, CustomStringConvertible {
    public let id: NodeID
    /// Unique in the cluster, such as `us-east-1a`.
    public let name: String
    public let region: Region
    public let zone: Zone

    public init(id: NodeID, name: String, region: Region, zone: Zone) {
        self.id = id
        self.name = name
        self.region = region
        self.zone = zone
    }

    public var description: String { "\(name) (\(id), region \(region), zone \(zone))" }
}
