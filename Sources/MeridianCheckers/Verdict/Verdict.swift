/// What a checker says of a history: the anomalies it found, or none. A checker proves anomalies, not their absence in
/// the system: a valid verdict says that this history does not contradict the promise.
public struct Verdict: Sendable, Equatable {
    public let model: HistoryModel
    /// Of operations.
    public let count: Int
    public let okCount: Int
    public let failCount: Int
    /// Outcome unknown.
    public let infoCount: Int
    /// The most severe first. Of each name at most `AnomalyLedger.limit`, so that a broken system can be reported.
    public let anomalies: [Anomaly]
    /// How many of each name were found, reported or not, in the order of `anomalies`.
    public let totals: [Total]
    /// What the reader should know of how the verdict was reached.
    public let notes: [String]

    public struct Total: Sendable, Equatable {
        public let name: AnomalyName
        public let count: Int
    }

    public var isValid: Bool { totals.isEmpty }

    public func contains(_ name: AnomalyName) -> Bool { totals.contains { $0.name == name } }
}

/// Collects anomalies while a checker runs, and describes only as many of each name as a person would read.
struct AnomalyLedger {
    static let limit = 8

    private let history: History
    private var names: [AnomalyName] = []
    private var counts: [AnomalyName: Int] = [:]
    private var anomalies: [AnomalyName: [Anomaly]] = [:]
    private var notes: [String] = []

    init(_ history: History) { self.history = history }

    var isEmpty: Bool { names.isEmpty }

    /// - Parameter operations: places in `History.operations`.
    mutating func report(_ name: AnomalyName, _ operations: [Int], _ explanation: @autoclosure () -> [String]) {
        precondition(!operations.isEmpty, "\(name) without an operation")
        if counts[name] == nil { names.append(name) }
        counts[name, default: 0] += 1
        guard anomalies[name, default: []].count < Self.limit else { return }
        anomalies[name, default: []].append(
            Anomaly(name: name, operations: operations.map(history.witness), explanation: explanation()))
    }

    mutating func note(_ text: String) { notes.append(text) }

    /// - Parameter order: names not in it come first, in the order in which they were found.
    func verdict(order: [AnomalyName] = []) -> Verdict {
        let sorted = names.filter { !order.contains($0) } + order.filter { counts[$0] != nil }
        let operations = history.operations
        let okCount = operations.count { $0.outcome == .ok }
        let failCount = operations.count { $0.outcome == .fail }
        return Verdict(
            model: history.model, count: operations.count, okCount: okCount, failCount: failCount,
            infoCount: operations.count - okCount - failCount,
            anomalies: sorted.flatMap { anomalies[$0] ?? [] },
            totals: sorted.map { Verdict.Total(name: $0, count: counts[$0] ?? 0) }, notes: notes)
    }
}
