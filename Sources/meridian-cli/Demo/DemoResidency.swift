import Meridian
import MeridianCore

/// Opens every node's files after the cluster has stopped, and counts what lies outside of its jurisdiction.
struct DemoResidency: Sendable {
    let topology: Topology
    let directory: String
    let cities: [City]
    let cityFile: [UInt8]
    let seed: UInt64

    struct Outcome: Sendable {
        var nodes: [NodeAudit]
        var canaries: [Canaries.Canary]
        /// The cities that are found on a node of their jurisdiction.
        var found: Int

        var rowsOutside: Int { nodes.reduce(0) { $0 + $1.rowsOutside } }
        var entriesOutside: Int { nodes.reduce(0) { $0 + $1.entriesOutside } }
        var canariesOutside: Int { nodes.reduce(0) { $0 + hits(on: $1, isOwn: false) } }
        var byteCount: Int { nodes.reduce(0) { $0 + $1.byteCount } }

        /// Canaries that are found nowhere at home: then the search itself does not work, and its zeros mean nothing.
        var canariesMissed: Int {
            canaries.indices.count { position in
                !nodes.contains {
                    $0.jurisdiction == canaries[position].jurisdiction && $0.canaryCounts[position] > 0
                }
            }
        }

        /// How many canaries of the node's own jurisdiction, or of others, are in its files.
        func hits(on node: NodeAudit, isOwn: Bool) -> Int {
            zip(canaries, node.canaryCounts).count { canary, count in
                (canary.jurisdiction == node.jurisdiction) == isOwn && count > 0
            }
        }

        func canaryCount(of jurisdiction: Jurisdiction) -> Int {
            canaries.count { $0.jurisdiction == jurisdiction }
        }
    }

    /// - Throws: `.corruption` if a file is not what it should be, or what SQLite says.
    func audit() async throws -> Outcome {
        let table = try audit(of: topology.nodes[0]).tableID()
        let canaries = Canaries(cities: cities, file: cityFile, table: table, topology: topology, seed: seed)
        // These calls block, which harms nobody: no engine is running any more.
        let nodes = try await withThrowingTaskGroup(of: NodeAudit.self) { group in
            for node in topology.nodes {
                group.addTask {
                    var audit = audit(of: node)
                    try audit.run(table, canaries)
                    return audit
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        var found = 0
        for jurisdiction in Set(nodes.map(\.jurisdiction)) {
            let ids = nodes.filter { $0.jurisdiction == jurisdiction }.reduce(into: Set<Int>()) {
                $0.formUnion($1.cities)
            }
            found += cities.count { ids.contains($0.id) && home(of: $0) == jurisdiction }
        }
        return Outcome(nodes: nodes.sorted { $0.node.id < $1.node.id }, canaries: canaries.canaries, found: found)
    }

    private func audit(of node: NodeDescriptor) -> NodeAudit {
        NodeAudit(node: node, topology: topology, directory: directory)
    }

    private func home(of city: City) -> Jurisdiction { topology.jurisdiction(of: Region(city.region)) }
}
