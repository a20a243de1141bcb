import MeridianCore
import MeridianPlacement

/// What crossed borders between jurisdictions, by route, channel and range: one value, fed by whoever sends frames.
///
/// A frame between nodes of one jurisdiction costs a look into two tables. Memory is bounded by the number of routes,
/// channels and ranges, whatever was sent. It counts what was sent, also what a link then loses; what stands in a frame
/// and belongs to no range (the lists of quiescent ranges, ends of transactions) counts for the system range.
package struct EgressAccount: Sendable {
    package struct Entry: Hashable, Sendable {
        package var route: EgressRoute
        package var channel: EgressChannel
        package var range: RangeID
    }

    /// By node id: the number of its jurisdiction.
    private var laws: [NodeID: Int] = [:]
    private let names: [Jurisdiction]
    private var counts: [Slot: EgressCount] = [:]

    private struct Slot: Hashable, Sendable {
        var from: Int
        var to: Int
        var channel: EgressChannel
        var range: RangeID
    }

    package init(_ topology: Topology) {
        var names: [Jurisdiction] = []
        for region in topology.regions where !names.contains(topology.jurisdiction(of: region)) {
            names.append(topology.jurisdiction(of: region))
        }
        self.names = names
        for node in topology.nodes { laws[node.id] = names.firstIndex(of: topology.jurisdiction(of: node.region)) }
    }

    package mutating func note(_ frame: NodeFrame) {
        guard !frame.messages.isEmpty, let from = laws[frame.from], let to = laws[frame.to], from != to else { return }
        for message in frame.messages {
            let slot = Slot(from: from, to: to, channel: message.channel, range: message.range ?? Catalog.systemRange)
            counts[slot, default: EgressCount()] += EgressCount(messages: 1, bytes: UInt64(message.rowByteCount))
        }
    }

    /// Notes what does not go in a frame. Nothing that stays in its jurisdiction is noted.
    package mutating func note(
        _ count: EgressCount, over channel: EgressChannel, on route: EgressRoute, of range: RangeID
    ) {
        guard route.from != route.to, let from = names.firstIndex(of: route.from),
            let to = names.firstIndex(of: route.to)
        else { return }
        counts[Slot(from: from, to: to, channel: channel, range: range), default: EgressCount()] += count
    }

    /// In no order.
    package var entries: [(entry: Entry, count: EgressCount)] {
        counts.map { slot, count in
            let route = EgressRoute(from: names[slot.from], to: names[slot.to])
            return (Entry(route: route, channel: slot.channel, range: slot.range), count)
        }
    }
}
