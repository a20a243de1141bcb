import MeridianCore
import MeridianReplica

/// Nobody is told of a commit before its timestamp is past on every correct clock, and nobody reads a version that is
/// not past (Spanner §4.1.2, commit wait). Then a commit that begins after an answer has a higher timestamp, in any
/// region: external consistency.
final class VisibleIsPast: Invariant {
    static let name = "visible timestamps are past"
    static let interest: Interest = .answers

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        guard !effects.answers.isEmpty else { return nil }
        let now = step.engine.trueTime
        for answer in effects.answers {
            switch answer.body {
            case .committed(let result, _):
                if result.timestamp >= now { return text(step, "a commit is answered", result.timestamp, now) }
            case .read(let result):
                for row in result.pages.lazy.flatMap(\.rows) where row.version.timestamp >= now {
                    return text(step, "a row is read", row.version.timestamp, now)
                }
            case .done, .status, .transactions, .failed: break
            }
        }
        return nil
    }

    private func text(_ step: StepView, _ what: String, _ timestamp: Timestamp, _ now: Timestamp) -> String {
        "\(what) through \(step.node.id) \((timestamp.rawValue - now.rawValue) / 1000) µs before its timestamp is past"
    }
}
