import MeridianReplica

/// If a node has applied an entry at a given index, no other node ever applies a different one at that index (Raft,
/// figure 3: State Machine Safety; §5.4.3), in this life or another.
final class StateMachineSafety: Invariant {
    static let name = "state machine safety"
    static let interest: Interest = .commits

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? { ledger.conflict }
}
