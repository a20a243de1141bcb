import MeridianCore
import MeridianPlacement

/// Requests that cross a border: whether the rule of the range's jurisdiction lets them in.
///
/// The replica that is asked decides, not the node that asks. Where that node stands is what the topology says.
extension NodeCore {
    func refusalFromOutside(_ body: RangeRequest.Body, _ slot: Int, from gateway: NodeID) -> RangeReply.Body? {
        guard !configuration.rules.isEmpty, gateway != configuration.node, !Planted.isOn(.outsidersServed),
            let law = replicas[slot].descriptor.jurisdiction, let node = configuration.topology.node(gateway)
        else { return nil }
        let origin = configuration.topology.jurisdiction(of: node.region)
        let error = configuration.rules.refusal(
            ofReads: body.asksForRows, ofWrites: body.changesRows, from: origin, to: law)
        return error.map { .failed($0) }
    }
}

extension RangeRequest.Body {
    /// Whether rows are in the answer. Whoever asks for a timestamp alone learns of none.
    var asksForRows: Bool {
        if case .read(let read) = self { !read.operations.isEmpty } else { false }
    }

    /// Whether rows change by it, or are kept from changing.
    var changesRows: Bool {
        switch self {
        case .commit, .prepare, .lock: true
        case .read, .resolve, .unlock, .transferLease, .transactions, .status: false
        }
    }
}
