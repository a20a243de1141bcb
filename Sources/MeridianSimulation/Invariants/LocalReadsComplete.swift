import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import MeridianStorage

/// Whoever serves a read by what is closed shows the range as it was at that timestamp: all that had been committed at
/// or below it, anywhere, and nothing else (Spanner §4.1.3).
///
/// The yardstick is a store of its own, to which every committed command is applied when the first node applies it.
/// What is committed later at or below a timestamp that was read is found by `ClosedTimestamps`.
final class LocalReadsComplete: Invariant {
    static let name = "a local read is complete"
    static let interest: Interest = [.commits, .reads]

    private let everything = MemoryStateStore()
    private let reader: any StateReader

    init() { reader = everything.makeReader() }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        // The commands of this step are applied after its reads were asked for, and before they are answered.
        for evaluation in effects.evaluations {
            if let text = check(evaluation, step) { return text }
        }
        do {
            try everything.apply(effects.applies.filter { $0.cleared == nil })
        } catch {
            return "the yardstick cannot be applied to: \(error)"
        }
        return nil
    }

    private func check(_ evaluation: Evaluation, _ step: StepView) -> String? {
        guard evaluation.isLocal, case .read(_, let timestamp, _) = evaluation.body,
            let own = step.node.reader
        else {
            return nil
        }
        // The yardstick has what a failover has left behind.
        guard let slot = step.core.slot(of: evaluation.range), step.core.replicas[slot].generation == .first else {
            return nil
        }
        // What lies below the threshold is refused, by the node's or by that of the whole range.
        guard case .rows(let shown) = evaluation.run(with: own).outcome,
            case .rows(let expected) = evaluation.run(with: reader).outcome, shown != expected
        else { return nil }
        return "\(evaluation.range): \(step.node.id) reads \(shown.joined().count) rows as of \(timestamp.rawValue), "
            + "which are not the \(expected.joined().count) that were committed by then"
    }
}
