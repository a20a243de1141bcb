/// A verdict for people.
extension Verdict {
    /// Lines without newlines.
    public var lines: [String] {
        var lines: [String] = []
        let counts = "\(count) operations: \(okCount) ok, \(failCount) failed, \(infoCount) unknown"
        lines.append("\(isValid ? "valid" : "ANOMALOUS") (model \(model.rawValue)); \(counts)")
        for total in totals { lines.append("  \(total.name): \(total.count)") }
        for anomaly in anomalies {
            lines.append("")
            lines.append(anomaly.name.rawValue)
            for (number, operation) in anomaly.operations.enumerated() {
                lines.append("  T\(number + 1)  \(operation.line)")
            }
            for sentence in anomaly.explanation { lines.append("  - \(sentence)") }
        }
        for note in notes { lines.append("note: \(note)") }
        return lines
    }
}

extension Witness {
    /// One line without a newline.
    public var line: String {
        let end = completionIndex.map(String.init) ?? "open"
        let place = region.map { ", \($0)" } ?? ""
        return "index \(index)…\(end), process \(process)\(place), \(outcome.name): \(summary)"
    }
}

extension Operation.Outcome {
    /// As in a history.
    public var name: String {
        switch self {
        case .ok: "ok"
        case .fail: "fail"
        case .info: "info"
        }
    }
}
