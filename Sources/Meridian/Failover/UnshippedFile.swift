import Foundation
import MeridianCore
import MeridianReplica

/// Commits of a history that a failover has ended, as a node keeps them: a JSON file in the node's own folder, so that
/// rows do not leave the place where they were.
///
/// Keys and values are the stored bytes, in hexadecimal digits. A file is written once and never changed; whoever has
/// dealt with it may remove it.
struct UnshippedFile: Codable {
    struct Change: Codable {
        var key: String
        /// Absent where the row was deleted.
        var value: String?
    }

    struct Commit: Codable {
        var index: UInt64
        var request: String
        var timestamp: Int64
        /// Whether this node knew that the old home had committed it.
        var isCommitted: Bool
        var changes: [Change]
        /// It belongs to a transaction of several ranges of which the writes stand before the fork.
        var isIncomplete: Bool
    }

    var range: UInt64
    var table: UInt32
    var partition: String
    /// The history that has ended.
    var generation: UInt32
    var forkIndex: UInt64
    /// Entries behind the fork that the log did not have any more.
    var compacted: UInt64
    var commits: [Commit]

    static let prefix = "unshipped-"

    var name: String { "\(Self.prefix)r\(range)-g\(generation).json" }

    init(_ salvage: Salvage) {
        range = salvage.range.rawValue
        table = salvage.table.rawValue
        partition = salvage.partition.rawValue
        generation = salvage.generation.rawValue
        forkIndex = salvage.fork.rawValue
        compacted = salvage.compacted
        commits = []
        var prepared: [TransactionID: [Mutation]] = [:]
        for entry in salvage.entries {
            guard case .command(let command) = entry.payload else { continue }
            var mutations = command.mutations
            var isIncomplete = false
            if let step = command.step {
                let id = TransactionID(request: command.request, attempt: step.attempt)
                switch step.kind {
                case .prepare:
                    prepared[id] = command.mutations
                    continue
                case .commit:
                    isIncomplete = prepared[id] == nil
                    mutations = prepared.removeValue(forKey: id) ?? []
                case .abort, .forget, .erase: continue
                }
            }
            commits.append(
                Commit(
                    index: entry.index.rawValue, request: "\(command.request)", timestamp: command.timestamp.rawValue,
                    isCommitted: entry.index <= salvage.committed,
                    changes: mutations.map {
                        Change(key: Hexadecimal.text($0.key.bytes), value: $0.value.map { Hexadecimal.text($0) })
                    },
                    isIncomplete: isIncomplete))
        }
    }

    func encoded() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

/// Bytes as digits.
enum Hexadecimal {
    static func text(_ bytes: [UInt8]) -> String {
        var text = ""
        text.reserveCapacity(2 * bytes.count)
        for byte in bytes { text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }
        return text
    }

    /// `nil` where the text is not such digits.
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == text.utf8.count, digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
