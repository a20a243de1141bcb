import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// The log entries and snapshots of a restricted range never go to a node outside of its jurisdiction (DESIGN §8), nor
/// do its rows in answers where the rule refuses reads from outside; and no frame to a node outside, and no file there,
/// holds a byte string that was pinned (`pin`), in a key or in a value.
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
            if let text = pinned(in: message, of: frame) { return text }
            switch message {
            case .raft(let id, let message):
                guard case .append(let append) = message.body, !append.entries.isEmpty else { continue }
                range = id
            case .snapshotChunk(let chunk): range = chunk.range
            case .reply(let reply):
                guard case .read(let result) = reply.body, result.rows.contains(where: { !$0.isEmpty }) else {
                    continue
                }
                guard let law = law(of: reply.range, from: frame.from),
                    engine.rules[law]?.readsFromOutside == .refused
                else { continue }
                range = reply.range
            case .closed, .quiet, .quietReply, .request, .snapshotReply, .wound, .digest, .diverged: continue
            }
            guard let law = law(of: range, from: frame.from), let node = topology.node(frame.to) else { continue }
            if topology.jurisdiction(of: node.region) != law {
                return "\(range) is restricted to \(law), but \(frame.from) sends its rows to \(node.name)"
            }
        }
        return nil
    }

    /// The frame is looked into only if it leaves a jurisdiction.
    private func pinned(in message: NodeMessage, of frame: NodeFrame) -> String? {
        guard !pins.isEmpty, let origin = topology.node(frame.from), let node = topology.node(frame.to) else {
            return nil
        }
        let law = topology.jurisdiction(of: node.region)
        guard topology.jurisdiction(of: origin.region) != law else { return nil }
        var isAnswer = false
        if case .reply = message { isAnswer = true }
        var found: Jurisdiction?
        message.visitRowBytes { bytes in
            for pin in pins where pin.jurisdiction != law && bytes.holds(pin.bytes) {
                // Who may read from outside is answered.
                if isAnswer, engine.rules[pin.jurisdiction]?.readsFromOutside != .refused { continue }
                found = pin.jurisdiction
            }
        }
        return found.map { "\(origin.name) sends \(node.name) bytes that are pinned to \($0)" }
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
