import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import Synchronization

/// The egress ledger: what went from one jurisdiction to another since the cluster started, and by what way.
///
/// ```swift
/// let ledger = cluster.egress
/// print(ledger)                                   // a table of routes, channels and tables
/// assert(ledger.leakedBytes == 0)
/// ```
///
/// Every frame between nodes is counted where it is sent, and what `aggregate` hands out. It counts bytes of keys and
/// encoded rows, exactly; what a protocol adds is not in them. It is kept in memory, for as long as the cluster runs,
/// over restarts of its nodes.
public struct EgressReport: Sendable, Hashable, CustomStringConvertible {
    public struct Row: Sendable, Hashable {
        public var route: EgressRoute
        public var channel: EgressChannel
        /// `system` for the catalog and for what belongs to no table.
        public var table: String
        /// Where the rows are restricted to; `nil` when they may be anywhere.
        public var restrictedTo: Jurisdiction?
        public var count: EgressCount

        /// Restricted rows that left their jurisdiction.
        public var leaves: Bool { restrictedTo.map { $0 == route.from } ?? false }
    }

    /// By route, channel and table.
    public var rows: [Row]

    /// Bytes of restricted rows that left their jurisdiction and were not an answer to a client who asked from outside,
    /// nor an aggregate. Anything but 0 is a bug of Meridian.
    public var leakedBytes: UInt64 {
        rows.filter { $0.leaves && ![.answer, .aggregate].contains($0.channel) }.reduce(0) { $0 + $1.count.bytes }
    }

    /// Bytes of restricted rows that clients outside have asked for and were given. 0 where the rule refuses reads from
    /// outside.
    public var answeredBytes: UInt64 {
        rows.filter { $0.leaves && $0.channel == .answer }.reduce(0) { $0 + $1.count.bytes }
    }

    public subscript(_ channel: EgressChannel) -> EgressCount {
        rows.filter { $0.channel == channel }.reduce(EgressCount()) { $0 + $1.count }
    }

    init(_ entries: [(entry: EgressAccount.Entry, count: EgressCount)], _ catalog: Catalog) {
        struct Place: Hashable {
            var route: EgressRoute
            var channel: EgressChannel
            var table: String
            var restrictedTo: Jurisdiction?
        }
        var counts: [Place: EgressCount] = [:]
        for (entry, count) in entries {
            let range = catalog.directory[entry.range]
            let table = range.flatMap { catalog[$0.table]?.descriptor.name } ?? "system"
            let place = Place(
                route: entry.route, channel: entry.channel, table: table, restrictedTo: range?.jurisdiction)
            counts[place, default: EgressCount()] += count
        }
        rows = counts.map { place, count in
            Row(
                route: place.route, channel: place.channel, table: place.table, restrictedTo: place.restrictedTo,
                count: count)
        }
        rows.sort { first, second in
            (first.route, first.channel, first.table, first.restrictedTo?.rawValue ?? "")
                < (second.route, second.channel, second.table, second.restrictedTo?.rawValue ?? "")
        }
    }

    public var description: String {
        let header = ["from", "to", "channel", "table", "restricted to", "messages", "bytes"]
        let lines =
            [header]
            + rows.map { row in
                [
                    row.route.from.rawValue, row.route.to.rawValue, row.channel.rawValue, row.table,
                    row.restrictedTo?.rawValue ?? "-", "\(row.count.messages)", "\(row.count.bytes)",
                ]
            }
        let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

/// One meter a node, which outlives the node's process.
final class EgressMeters: Sendable {
    private let meters: [NodeID: EgressMeter]
    /// What the API carries past the nodes.
    let api: EgressMeter

    init(_ topology: Topology) {
        meters = Dictionary(
            uniqueKeysWithValues: topology.nodes.map { ($0.id, EgressMeter(topology, node: $0.id)) })
        api = EgressMeter(topology, node: topology.nodes[0].id)
    }

    func meter(of node: NodeID) -> EgressMeter {
        guard let meter = meters[node] else { preconditionFailure("\(node) is not in the topology") }
        return meter
    }

    var entries: [(entry: EgressAccount.Entry, count: EgressCount)] {
        meters.values.flatMap(\.entries) + api.entries
    }
}

extension EmbeddedCluster {
    /// What crossed borders between jurisdictions since the cluster started.
    public var egress: EgressReport {
        EgressReport(egressMeters.entries, fullestCatalog ?? emptyCatalog)
    }

    /// What the nodes know of tables; a node that has just started may not know all.
    private var fullestCatalog: Catalog? {
        state.withLock { $0.drivers.values.map(\.catalog) }.max { $0.tables.count < $1.tables.count }
    }

    package var directoryRanges: [RangeDescriptor] { fullestCatalog?.directory.ranges.map { $0 } ?? [] }

    private var emptyCatalog: Catalog {
        guard
            let system = try? NodeConfiguration(node: topology.nodes[0].id, topology: topology, seed: 0)
                .systemDescriptor(), let catalog = try? Catalog(system: system)
        else { preconditionFailure("the topology has no place for the system range") }
        return catalog
    }

    package func noteEgress(
        _ count: EgressCount, over channel: EgressChannel, on route: EgressRoute, of range: RangeID
    ) { egressMeters.api.note(count, over: channel, on: route, of: range) }
}
