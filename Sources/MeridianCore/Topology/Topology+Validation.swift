/// What a topology must be before anything is placed on it.
extension Topology {
    static func validate(
        nodes: [NodeDescriptor], regions: [Region], jurisdictions: [Region: Jurisdiction], matrix: LatencyMatrix
    ) throws(MeridianError) {
        guard !nodes.isEmpty else { throw invalid("there are no nodes; add at least one") }
        var nodesByName: [String: NodeDescriptor] = [:]
        var names: [NodeID: String] = [:]
        for node in nodes {
            try validateNames(of: node)
            if let other = nodesByName.updateValue(node, forKey: node.name) {
                throw invalid("\(other.id) and \(node.id) are both named \"\(node.name)\"; rename one of them")
            }
            if let other = names.updateValue(node.name, forKey: node.id) {
                throw invalid("\"\(other)\" and \"\(node.name)\" share the id \(node.id); give one of them another")
            }
        }
        for region in regions { try matrix.require(region) }
        for (region, jurisdiction) in jurisdictions.sorted(by: { $0.key < $1.key }) {
            guard regions.contains(region) else {
                let hint = NameSuggestion.hint(for: region.rawValue, among: regions.map(\.rawValue))
                throw MeridianError(
                    .unknownRegion,
                    "jurisdiction \"\(jurisdiction)\" is given for region \"\(region)\", which has no nodes.\(hint)")
            }
            guard !jurisdiction.rawValue.isEmpty else {
                throw invalid("region \"\(region)\" has a jurisdiction with an empty name; name it or leave it out")
            }
        }
    }

    private static func validateNames(of node: NodeDescriptor) throws(MeridianError) {
        guard node.id.rawValue > 0 else { throw invalid("node \"\(node.name)\" has id 0; ids start at 1") }
        guard !node.name.isEmpty else { throw invalid("node \(node.id) has an empty name; give it one") }
        guard !node.region.rawValue.isEmpty else {
            throw invalid("node \"\(node.name)\" is in a region with an empty name; name it")
        }
        guard !node.zone.rawValue.isEmpty else {
            throw invalid("node \"\(node.name)\" is in a zone with an empty name; name it")
        }
    }

    static func invalid(_ message: String) -> MeridianError {
        MeridianError(.invalidTopology, "topology: \(message)")
    }
}
