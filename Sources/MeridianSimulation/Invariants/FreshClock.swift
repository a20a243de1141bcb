import MeridianCore
import MeridianReplica
import MeridianRuntime

/// A step goes by a clock that was read after its events had come (`NodeShell.begin`): otherwise a commit can get a
/// timestamp below that of one which its client has seen, and a read can be served by a lease that has ended. What
/// clients see of that is rare, so it is looked for where it begins. Only while clocks tell the truth.
final class FreshClock: Invariant {
    static let name = "a step's clock is not older than its events"
    static let interest: Interest = .replicas

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        let (read, came) = (step.node.stepClock, step.node.takenAt)
        guard read.isKnown, read.latest < came else { return nil }
        return "\(step.node.id) served at \(read.latest) at the latest what came at \(came)"
    }
}
