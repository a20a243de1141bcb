import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// Who leads, for faults that look for leaders and operators who move leases.
extension Engine {
    /// The running nodes that lead a range, by position.
    var leaders: [SimulatedNode] {
        nodes.filter { node in node.core?.replicas.contains { $0.raft.role == .leader } ?? false }
    }

    /// Hands every lease that a node holds to another voter, through the node's own gateway, as an operator would.
    func transferLeases(of node: SimulatedNode, using random: inout SplitMix64) {
        guard let core = node.core, !node.isPaused else { return }
        for replica in core.replicas where replica.raft.role == .leader {
            let voters = replica.raft.membership.members.filter { $0.role == .voter && $0.node != node.id }
            guard !voters.isEmpty else { continue }
            let target = voters[Int(random.below(UInt64(voters.count)))].node
            call(node, replica.descriptor.id, .transferLease(to: target), nanoseconds: 2_000_000_000)
        }
    }

    /// A call to a node's gateway whose answer nobody waits for.
    private func call(_ node: SimulatedNode, _ range: RangeID, _ body: RangeRequest.Body, nanoseconds: Int64) {
        let id = GatewayRequestID(rawValue: takeCallNumber())
        let deadline = moment(node).instant.advanced(byNanoseconds: nanoseconds)
        give(node, .call(GatewayCall(id: id, range: range, body: .request(body), deadline: deadline)))
    }
}
