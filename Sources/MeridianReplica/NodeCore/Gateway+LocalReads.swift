import MeridianCore
import MeridianPlacement

/// Where a read goes that any replica may serve: to the nearest one that holds rows, this node's own if it has one, and
/// to the leaseholder where that one cannot serve it or is silent. Each call tries one replica before the leaseholder.
extension NodeCore {
    /// The replica to ask first, and how long it may wait in nanoseconds; `nil` when that is the leaseholder itself.
    func nearestReplica(_ range: RangeDescriptor, known: Gateway.Leaseholder?) -> (node: NodeID, patience: Int64)? {
        guard let leaseholder = known?.node ?? range.preferredLeaders.first else { return nil }
        let farthest = leaseholder == configuration.node ? 0 : roundTripNanoseconds(to: leaseholder)
        var nearest: (node: NodeID, roundTrip: Int64)?
        for member in range.members where member.role != .witness && isAlive(member.node) {
            let roundTrip = member.node == configuration.node ? -1 : roundTripNanoseconds(to: member.node)
            if nearest.map({ roundTrip < $0.roundTrip }) ?? true { nearest = (member.node, roundTrip) }
        }
        guard let nearest, nearest.node != leaseholder, nearest.roundTrip < farthest else { return nil }
        return (nearest.node, farthest - max(0, nearest.roundTrip))
    }

    /// A call that its replica could not serve goes to the leaseholder.
    mutating func askLeaseholder(_ id: GatewayRequestID) {
        guard case .read(var read)? = gateway.calls[id]?.body else { return }
        read.patienceNanoseconds = nil
        gateway.calls[id]?.body = .read(read)
        gateway.calls[id]?.isOutstanding = false
        gateway.calls[id]?.redirects = 0
    }
}
