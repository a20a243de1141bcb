import MeridianCore
import MeridianPlacement

/// Requests that cross a border: whether the rule of the range's jurisdiction lets them in.
///
/// The replica that is asked decides, not the node that asks. Both must be inside: the client, who gets the rows, and
/// the gateway, through which they pass. Where the gateway stands is what the topology says; where the client stands is
/// what the gateway says.
extension NodeCore {
    func refusalFromOutside(_ request: RangeRequest, _ slot: Int, from gateway: NodeID) -> RangeReply.Body? {
        guard !configuration.rules.isEmpty, !Planted.isOn(.outsidersServed),
            let law = replicas[slot].descriptor.jurisdiction
        else { return nil }
        let topology = configuration.topology
        let passage = gateway == configuration.node ? nil : topology.node(gateway)?.region
        let client = Planted.isOn(.gatewayTakenForClient) ? nil : request.client
        for region in [passage, client].compactMap(\.self) {
            let error = configuration.rules.refusal(
                ofReads: request.body.asksForRows, ofWrites: request.body.changesRows,
                from: topology.jurisdiction(of: region), to: law)
            if let error { return .failed(error) }
        }
        return nil
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
        case .read, .resolve, .unlock, .transferLease, .status: false
        }
    }
}
