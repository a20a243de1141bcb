/// Judges a history by the checker of its model.
public enum Checker {
    /// - Parameters:
    ///   - history: of any model.
    ///   - consistency: what transactions were promised: `append`, `registers` and `bank` go by it.
    /// - Throws: `CheckerError` if no verdict is possible.
    public static func check(
        _ history: History, consistency: SerializabilityChecker.Consistency = .strictSerializable
    ) throws(CheckerError) -> Verdict {
        switch history.model {
        case .append, .registers: try SerializabilityChecker.check(history, consistency: consistency)
        case .register: try LinearizabilityChecker.check(history)
        case .bank: try BankChecker.check(history, consistency: consistency)
        case .set: try SetChecker.check(history)
        case .longFork: try LongForkChecker.check(history)
        case .monotonic: try MonotonicChecker.check(history)
        case .causal: try CausalOrderChecker.check(history)
        }
    }
}
