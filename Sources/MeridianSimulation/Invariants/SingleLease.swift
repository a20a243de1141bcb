import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// At any true time at most one replica of a range may serve reads by its lease (DESIGN §5; Spanner §4.1.1, the
/// disjointness of leader leases). A replica uses a lease while it lies ahead of the whole interval of its own clock.
final class SingleLease: Invariant {
    static let name = "one lease a range"

    /// Replicas that lead or have led, by range: few, so that looking at all of them costs little.
    private var candidates: [RangeID: [NodeID]] = [:]

    func check(_ step: StepView, _ ledger: Ledger) -> String? {
        guard let core = step.node.core else { return nil }
        for slot in step.slots where core.replicas[slot].raft.role == .leader {
            let range = core.replicas[slot].descriptor.id
            if candidates[range]?.contains(step.node.id) != true { candidates[range, default: []].append(step.node.id) }
            guard let known = candidates[range], known.count > 1, Self.holds(step.node, slot, step.moment) else {
                continue
            }
            for other in known where other != step.node.id {
                let node = step.engine.nodes[Int(other.rawValue) - 1]
                guard let slot = node.core?.slot(of: range), Self.holds(node, slot, step.engine.moment(node)) else {
                    continue
                }
                return "\(range): \(step.node.id) and \(other) both hold a lease"
            }
        }
        return nil
    }

    private static func holds(_ node: SimulatedNode, _ slot: Int, _ moment: Moment) -> Bool {
        guard let core = node.core, core.replicas[slot].raft.role == .leader, moment.clock.isKnown,
            let expiration = core.replicas[slot].raft.leaseExpiration
        else { return false }
        return moment.clock.latest < expiration
    }
}
