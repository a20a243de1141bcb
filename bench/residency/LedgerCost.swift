import BenchSupport
import Meridian
import MeridianConsensus
import MeridianCore
import MeridianReplica
import MeridianRuntime

/// What the ledger costs a node: nanoseconds for a frame that stays at home, and for one that crosses a border.
enum LedgerCost {
    static func measure(_ report: FigureReport) {
        guard
            let topology = try? Topology.aws(
                ["eu-west-1", "us-east-1"], nodesPerRegion: 3, jurisdictions: ["eu-west-1": "EU", "us-east-1": "US"])
        else { return }
        let mutation = Mutation(key: Key([UInt8](repeating: 1, count: 24)), value: [UInt8](repeating: 2, count: 200))
        let command = Command(
            request: RequestID(high: 1, low: 2), timestamp: .zero, closed: .zero, mutations: [mutation])
        let entry = Entry(term: Term(1), index: LogIndex(1), payload: .command(command))
        func frame(to node: NodeID) -> NodeFrame {
            let append = RaftMessage.Append(previous: .zero, entries: [entry], commit: .zero, lease: nil)
            let message = RaftMessage(from: NodeID(1), to: node, term: Term(1), body: .append(append))
            return NodeFrame(
                from: NodeID(1), to: node, clock: nil, sent: .zero, messages: [.raft(RangeID(7), message)])
        }
        let meter = EgressMeter(topology, node: NodeID(1))
        let clock = ContinuousClock()
        for (name, node) in [("home", NodeID(2)), ("border", NodeID(4))] {
            let frame = frame(to: node)
            let count = 200_000
            let duration = clock.measure { for _ in 0..<count { meter.note(frame) } }
            report.add(
                "residency.ledger.\(name)Nanoseconds", duration / .nanoseconds(1) / Double(count), "ns a frame",
                .atMost, name == "home" ? 200 : 1000)
        }
        let slots = meter.entries.count
        report.add("residency.ledger.entries", Double(slots), "entries")
    }
}
