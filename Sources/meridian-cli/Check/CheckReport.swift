import Foundation
import MeridianCheckers

/// A verdict as one JSON object. Names are part of the command's interface (docs/CHECKERS.md).
struct CheckReport: Encodable {
    let model: String
    let consistency: String?
    let valid: Bool
    let operations: Counts
    let totals: [Total]
    let anomalies: [Finding]
    let notes: [String]

    struct Counts: Encodable {
        let all: Int
        let ok: Int
        let fail: Int
        let info: Int
    }

    struct Total: Encodable {
        let name: String
        let count: Int
    }

    struct Finding: Encodable {
        let name: String
        let operations: [Member]
        let explanation: [String]
    }

    struct Member: Encodable {
        let index: Int
        let completionIndex: Int?
        let process: Int
        let type: String
        let region: String?
        let summary: String
    }

    init(_ verdict: Verdict, _ consistency: SerializabilityChecker.Consistency) {
        model = verdict.model.rawValue
        let isTransactional = [.append, .registers, .bank].contains(verdict.model)
        self.consistency = isTransactional ? consistency.rawValue : nil
        valid = verdict.isValid
        operations = Counts(
            all: verdict.count, ok: verdict.okCount, fail: verdict.failCount, info: verdict.infoCount)
        totals = verdict.totals.map { Total(name: $0.name.rawValue, count: $0.count) }
        anomalies = verdict.anomalies.map { anomaly in
            Finding(
                name: anomaly.name.rawValue,
                operations: anomaly.operations.map {
                    Member(
                        index: $0.index, completionIndex: $0.completionIndex, process: $0.process,
                        type: $0.outcome.name, region: $0.region, summary: $0.summary)
                },
                explanation: anomaly.explanation)
        }
        notes = verdict.notes
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
