import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// A node's egress account, fed by the threads that send its frames, and read by anybody.
package final class EgressMeter: Sendable {
    private let account: Mutex<EgressAccount>
    /// The nodes under the node's own law: their frames need not be counted, nor the lock taken.
    private let neighbours: Set<NodeID>

    package init(_ topology: Topology, node: NodeID) {
        account = Mutex(EgressAccount(topology))
        let law = topology.node(node).map { topology.jurisdiction(of: $0.region) }
        neighbours = Set(topology.nodes.lazy.filter { topology.jurisdiction(of: $0.region) == law }.map(\.id))
    }

    package func note(_ frame: NodeFrame) {
        guard !frame.messages.isEmpty, !neighbours.contains(frame.to) else { return }
        account.withLock { $0.note(frame) }
    }

    package func note(_ count: EgressCount, over channel: EgressChannel, on route: EgressRoute, of range: RangeID) {
        account.withLock { $0.note(count, over: channel, on: route, of: range) }
    }

    package var entries: [(entry: EgressAccount.Entry, count: EgressCount)] { account.withLock { $0 }.entries }
}
