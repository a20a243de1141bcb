import MeridianCore

/// Who may hold a range: the one place that answers it, for planning, for every change of members and for whoever is
/// about to send bytes.
///
/// It speaks of nodes as the topology declares them. That a node stands where it says is proven elsewhere, by its
/// certificate (DESIGN §8).
package struct Residency: Sendable {
    package let topology: Topology

    package init(topology: Topology) { self.topology = topology }

    /// Whether a node may hold a replica of any role, a snapshot or log entries of the range. Never for a node that
    /// the topology does not know.
    package func isAllowed(node: NodeID, for range: RangeDescriptor) -> Bool {
        isAllowed(node: node, under: range.jurisdiction)
    }

    /// The same for a jurisdiction; `nil` restricts nothing.
    package func isAllowed(node: NodeID, under jurisdiction: Jurisdiction?) -> Bool {
        guard let descriptor = topology.node(node) else { return false }
        guard let jurisdiction else { return true }
        return topology.jurisdiction(of: descriptor.region) == jurisdiction
    }

    /// Refuses members that may not hold the range, or that claim to stand where the topology does not put them.
    ///
    /// - Throws: `MeridianError` with `.jurisdictionViolation`, naming the first such node and the fix.
    package func check(_ members: [Member], for range: RangeDescriptor) throws(MeridianError) {
        for member in members.sorted(by: { $0.node < $1.node }) {
            guard let node = topology.node(member.node) else {
                throw violation(range, "\(member.node) is not in the topology; add it there first")
            }
            guard node.region == member.region else {
                throw violation(
                    range,
                    "\(member.node) is entered in region \(member.region) but stands in \(node.region); "
                        + "enter it there")
            }
            guard isAllowed(node: member.node, for: range) else {
                let jurisdiction = range.jurisdiction.map(\.rawValue) ?? "none"
                throw violation(
                    range,
                    "\(node.name) stands under \(topology.jurisdiction(of: node.region)), but the range is restricted "
                        + "to \(jurisdiction); choose a node in "
                        + topology.regions(in: Jurisdiction(jurisdiction)).map(\.rawValue).joined(separator: ", "))
            }
        }
    }

    private func violation(_ range: RangeDescriptor, _ message: String) -> MeridianError {
        MeridianError(.jurisdictionViolation, "\(range.id) of \(range.table): \(message)")
    }
}
