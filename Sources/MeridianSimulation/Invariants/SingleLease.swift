import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime

/// At any true time at most one replica of a range may serve reads by its lease (DESIGN §5; Spanner §4.1.1, the
/// disjointness of leader leases). A replica uses a lease while it lies ahead of the whole interval of its own clock.
final class SingleLease: Invariant {
    static let name = "one lease a range"
    static let interest: Interest = .replicas

    private struct Candidate: Equatable {
        var node: Int
        var slot: Int
    }

    /// Replicas that lead or have led a range in the present lives of their nodes, by the range's number: few, so that
    /// looking at all of them costs little.
    private var candidates: [[Candidate]] = []
    private var numbers: [RangeID: Int] = [:]
    /// The number of each candidate's range.
    private let ranges = ReplicaTable<Int>()

    func stopped(_ node: SimulatedNode) {
        ranges.forget(node: node.position)
        for number in candidates.indices { candidates[number].removeAll { $0.node == node.position } }
    }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        let core = step.core
        for slot in step.slots where core.replicas[slot].raft.role == .leader {
            let number = ranges[step.node.position, slot] ?? enlist(step, slot)
            for other in candidates[number] where other.node != step.node.position {
                let node = step.engine.nodes[other.node]
                // Who leads no more is passed over first: that is most of them, and costs little to see.
                guard let held = node.core, held.replicas[other.slot].raft.role == .leader,
                    Self.holds(held, other.slot, step.engine.moment(node)), Self.holds(core, slot, step.moment)
                else { continue }
                return "\(core.replicas[slot].descriptor.id): \(step.node.id) and \(node.id) both hold a lease"
            }
        }
        return nil
    }

    /// - Returns: the number of the replica's range.
    private func enlist(_ step: StepView, _ slot: Int) -> Int {
        let range = step.core.replicas[slot].descriptor.id
        let number = numbers[range] ?? candidates.count
        if number == candidates.count {
            numbers[range] = number
            candidates.append([])
        }
        candidates[number].append(Candidate(node: step.node.position, slot: slot))
        ranges[step.node.position, slot] = number
        return number
    }

    /// Whether a leader's lease is in use.
    private static func holds(_ core: RunningCore, _ slot: Int, _ moment: Moment) -> Bool {
        guard moment.clock.isKnown, let expiration = core.replicas[slot].raft.leaseExpiration,
            core.replicas[slot].isAuthorized(at: moment)
        else { return false }
        return moment.clock.latest < expiration
    }
}
