/// Why a history cannot be judged: it is not well formed.
public struct HistoryError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Counted from 1; for events that were not read from a file, the number of the event.
    public var line: Int
    /// Bytes from the start of the line, counted from 1. Nil if the line is readable but does not fit the lines before.
    public var column: Int?
    /// What was expected there, or what does not fit.
    public var reason: String

    public init(line: Int, column: Int? = nil, reason: String) {
        self.line = line
        self.column = column
        self.reason = reason
    }

    public var description: String {
        "line \(line)" + (column.map { ", column \($0)" } ?? "") + ": " + reason
    }
}

/// Why a checker gives no verdict on a history that is well formed.
public enum CheckerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The history was read for another model.
    case wrongModel(HistoryModel, expected: [HistoryModel])
    /// Who wrote a value cannot be told, because two operations wrote it (events' indexes).
    case valueWrittenTwice(key: HistoryKey, value: Int, first: Int, second: Int)
    /// Linearizability is NP-complete, and this key needs more configurations than the search may visit.
    case searchExhausted(key: HistoryKey, configurations: Int)

    public var description: String {
        switch self {
        case .wrongModel(let model, let expected):
            "the history was read as \(model.rawValue), this checker takes "
                + expected.map(\.rawValue).joined(separator: ", ") + "; read it again with that model"
        case .valueWrittenTwice(let key, let value, let first, let second):
            "the operations with the indexes \(first) and \(second) both write \(value) to key \(key); who was read "
                + "cannot be told. Write each value to a key once"
        case .searchExhausted(let key, let configurations):
            "key \(key) is not decided after \(configurations) configurations; record fewer operations a key, or "
                + "raise the limit"
        }
    }
}
