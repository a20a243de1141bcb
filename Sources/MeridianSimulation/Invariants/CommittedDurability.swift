import MeridianConsensus
import MeridianCore
import MeridianReplica
import MeridianRuntime

/// When an entry counts as committed, a majority of the voters hold it on disk (Raft §5.3 with "persistent state ...
/// updated on stable storage before responding", figure 2). Every commit rule contains a majority (`CommitRule`).
///
/// A mirror of each disk is kept from what its log store acknowledged, so neither the node's belief nor its peers'
/// counts. A node whose data a fault has destroyed held it when it answered, so it counts for what it held.
final class CommittedDurability: Invariant {
    static let name = "durability of committed entries"
    static let interest: Interest = [.commits, .disks]

    private struct Mirror {
        var base: UInt64 = 0
        var terms: [Term] = []

        func holds(_ index: UInt64, _ term: Term) -> Bool {
            if index <= base { return true }
            let place = Int(index - base) - 1
            return place < terms.count && terms[place] == term
        }
    }

    private var mirrors: [NodeID: [RangeID: Mirror]] = [:]
    private var damaged: Set<NodeID> = []

    func started(_ node: SimulatedNode) {
        var ranges: [RangeID: Mirror] = [:]
        for (range, stored) in (try? node.log?.load()) ?? [:] {
            ranges[range] = Mirror(base: stored.base.index.rawValue, terms: stored.entries.map(\.term))
        }
        mirrors[node.id] = ranges
    }

    func destroyed(_ node: SimulatedNode) { damaged.insert(node.id) }

    func written(_ node: SimulatedNode, _ writes: [LogWrite]) {
        for write in writes {
            var mirror = mirrors[node.id, default: [:]].removeValue(forKey: write.range) ?? Mirror()
            if let reset = write.reset { mirror = Mirror(base: reset.index.rawValue) }
            if let first = write.entries.first?.index.rawValue, first > mirror.base {
                mirror.terms.removeLast(max(0, mirror.terms.count - Int(first - mirror.base - 1)))
                mirror.terms.append(contentsOf: write.entries.map(\.term))
            }
            if let compact = write.compact?.index.rawValue, compact > mirror.base {
                mirror.terms.removeFirst(min(mirror.terms.count, Int(compact - mirror.base)))
                mirror.base = compact
            }
            // Its rows were found damaged, and it begins a new life: it had the log when it answered.
            if write.remove, write.hardState?.isRecovering == true { damaged.insert(node.id) }
            if !write.remove { mirrors[node.id]?[write.range] = mirror }
        }
    }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        let core = step.core
        for (range, slot, indexes) in ledger.news {
            let position = ledger.highest(range)
            let membership = core.replicas[slot].raft.membership
            let voters = membership.members.filter { $0.role != .learner }
            for configuration in [voters, membership.outgoing] where !configuration.isEmpty {
                let copies = configuration.filter { member in
                    damaged.contains(member.node)
                        || mirrors[member.node]?[range]?.holds(position.index.rawValue, position.term) ?? false
                }
                if copies.count * 2 <= configuration.count {
                    return "\(range): \(position) (with \(indexes.count) entries) is committed by \(step.node.id), but "
                        + "durable at \(copies.map(\.node)) only, of \(configuration.map(\.node))"
                }
            }
        }
        return nil
    }
}
