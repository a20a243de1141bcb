import MeridianCheckers

/// Judges a run's history by the checker of its model.
enum HistoryJudge {
    /// - Parameter isStrict: whether real-time order was promised; without it only serializability is asked for, and
    ///   models that are nothing but real-time order are passed over.
    /// - Returns: the first anomaly in words; `nil` for a history that is as promised.
    static func anomaly(in history: History, isStrict: Bool) throws -> String? {
        if !isStrict {
            switch history.model {
            case .append, .registers, .bank, .longFork: break
            case .register, .set, .monotonic, .causal: return nil
            }
        }
        let verdict = try Checker.check(history, consistency: isStrict ? .strictSerializable : .serializable)
        guard let anomaly = verdict.anomalies.first else { return nil }
        let operations = anomaly.operations.map { "operation \($0.index)" }.joined(separator: ", ")
        return ([anomaly.name.rawValue + " in " + operations] + anomaly.explanation).joined(separator: "; ")
    }
}
