import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// The log entries and snapshots of a restricted range never go to a node outside of its jurisdiction (DESIGN §8), in
/// frames; and no file outside holds a byte string that was pinned (`pin`).
final class PinnedBytes: Invariant {
    static let name = "pinned bytes stay in their jurisdiction"
    static let interest: Interest = .frames

    private let topology: Topology
    private var laws: [RangeID: Jurisdiction?] = [:]
    private unowned let engine: Engine
    /// Byte strings and where they may lie.
    private var pins: [(bytes: [UInt8], jurisdiction: Jurisdiction)] = []

    init(_ engine: Engine) {
        topology = engine.topology
        self.engine = engine
    }

    /// From now on, the bytes may be stored under this law only.
    func pin(_ bytes: [UInt8], in jurisdiction: Jurisdiction) { pins.append((bytes, jurisdiction)) }

    func sent(_ frame: NodeFrame) -> String? {
        for message in frame.messages {
            let range: RangeID
            switch message {
            case .raft(let id, let message):
                guard case .append(let append) = message.body, !append.entries.isEmpty else { continue }
                range = id
            case .snapshotChunk(let chunk): range = chunk.range
            case .closed, .quiet, .quietReply, .request, .reply, .snapshotReply, .wound: continue
            }
            guard let law = law(of: range, from: frame.from), let node = topology.node(frame.to) else { continue }
            if topology.jurisdiction(of: node.region) != law {
                return "\(range) is restricted to \(law), but \(frame.from) sends its rows to \(node.name)"
            }
        }
        return nil
    }

    private func law(of range: RangeID, from node: NodeID) -> Jurisdiction? {
        if let known = laws[range] { return known }
        guard let descriptor = engine.nodes[Int(node.rawValue) - 1].core?.catalog.directory[range] else {
            return nil
        }
        laws[range] = .some(descriptor.jurisdiction)
        return descriptor.jurisdiction
    }

    func compare(_ engine: Engine) -> String? {
        for node in engine.nodes {
            let law = topology.jurisdiction(of: node.descriptor.region)
            for pin in pins where pin.jurisdiction != law && node.storage.holds(pin.bytes) {
                return "the files of \(node.descriptor.name) hold bytes that are pinned to \(pin.jurisdiction)"
            }
        }
        return nil
    }
}
