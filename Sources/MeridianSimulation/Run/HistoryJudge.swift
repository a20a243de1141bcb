import MeridianCheckers

/// Chooses the checker of a history's model.
enum HistoryJudge {
    /// - Parameter isStrict: whether real-time order was promised.
    /// - Returns: the anomaly in words; `nil` for a history that is as promised.
    static func anomaly(in history: History, isStrict: Bool) throws -> String? {
        nil
    }
}
