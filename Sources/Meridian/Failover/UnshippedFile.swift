import Foundation
import MeridianCore
import MeridianReplica

/// Commits of a history that a failover has ended, as a node keeps them: a JSON file in the node's own folder, so that
/// rows do not leave the place where they were.
///
/// Keys and values are the stored bytes, in hexadecimal digits. Only an erasure takes something out of a file; whoever
/// has dealt with one may remove it.
struct UnshippedFile: Codable {
    struct Change: Codable {
        var key: String
        /// Absent where the row was deleted.
        var value: String?
    }

    struct Commit: Codable {
        /// Its place in the log; 0 for what is known by the rows that it has left alone.
        var index: UInt64
        var request: String
        var timestamp: Int64
        /// Whether this node knew that the old home had committed it.
        var isCommitted: Bool
        var changes: [Change]
        /// It belongs to a transaction of several ranges of which the writes stand before the fork; or of what it wrote
        /// only the rows are known that nobody wrote later.
        var isIncomplete: Bool
        /// A transaction of several ranges was prepared here, and the log does not say what has become of it.
        var isPrepared = false
    }

    var range: UInt64
    var table: UInt32
    var partition: String
    /// The history that has ended.
    var generation: UInt32
    var forkIndex: UInt64
    /// Entries behind the fork that the log did not have any more: of these there are the rows.
    var compacted: UInt64
    var commits: [Commit]

    private static let prefix = "unshipped-"
    private static let suffix = ".json"

    var name: String { "\(Self.prefix)r\(range)-g\(generation)\(Self.suffix)" }

    static func isName(_ name: String) -> Bool { name.hasPrefix(prefix) && name.hasSuffix(suffix) }

    init(_ salvage: Salvage) {
        range = salvage.range.rawValue
        table = salvage.table.rawValue
        partition = salvage.partition.rawValue
        generation = salvage.generation.rawValue
        forkIndex = salvage.fork.rawValue
        compacted = salvage.compacted
        commits = []
        var prepared: [TransactionID: (entry: Entry, command: Command)] = [:]
        for entry in salvage.entries {
            guard case .command(let command) = entry.payload else { continue }
            var mutations = command.mutations
            var isIncomplete = false
            if let step = command.step {
                let id = TransactionID(request: command.request, attempt: step.attempt)
                switch step.kind {
                case .prepare:
                    prepared[id] = (entry, command)
                    continue
                case .commit, .adopt:
                    isIncomplete = prepared[id] == nil
                    mutations = prepared.removeValue(forKey: id)?.command.mutations ?? []
                case .abort, .undo:
                    prepared[id] = nil
                    continue
                case .promise, .forget, .erase: continue
                }
            }
            commits.append(
                Commit(
                    index: entry.index.rawValue, request: "\(command.request)", timestamp: command.timestamp.rawValue,
                    isCommitted: entry.index <= salvage.committed, changes: Self.changes(mutations),
                    isIncomplete: isIncomplete))
        }
        // The end of these stands in other ranges' logs: they can have committed, and their clients been told so.
        for (entry, command) in prepared.values.sorted(by: { $0.entry.index < $1.entry.index }) {
            commits.append(
                Commit(
                    index: entry.index.rawValue, request: "\(command.request)", timestamp: command.timestamp.rawValue,
                    isCommitted: false, changes: Self.changes(command.mutations), isIncomplete: false,
                    isPrepared: true))
        }
        addRows(of: salvage)
    }

    private static func changes(_ mutations: [Mutation]) -> [Change] {
        mutations.map { Change(key: Hexadecimal.text($0.key.bytes), value: $0.value.map { Hexadecimal.text($0) }) }
    }

    /// Rows of one timestamp were written by one commit.
    private mutating func addRows(of salvage: Salvage) {
        let listed = Set(commits.map(\.timestamp))
        let left = Dictionary(grouping: salvage.rows, by: \.version.timestamp.rawValue)
        for (timestamp, rows) in left.sorted(by: { $0.key < $1.key }) where !listed.contains(timestamp) {
            commits.append(
                Commit(
                    index: 0, request: "rows at \(timestamp)", timestamp: timestamp, isCommitted: true,
                    changes: rows.map { row in
                        Change(
                            key: Hexadecimal.text(row.key.bytes), value: row.version.value.map { Hexadecimal.text($0) })
                    },
                    isIncomplete: true))
        }
    }

    /// Takes in an earlier report of the same history.
    mutating func add(_ earlier: UnshippedFile) {
        let known = Set(commits.map(\.request))
        commits += earlier.commits.filter { !known.contains($0.request) }
        commits.sort { ($0.timestamp, $0.request) < ($1.timestamp, $1.request) }
        compacted = max(compacted, earlier.compacted)
    }

    /// Takes changes out.
    /// - Parameters:
    ///   - timestamp: only of commits at or below it.
    ///   - isCovered: of a key as `Table.plainKey` gives it.
    /// - Returns: whether there were any.
    mutating func erase(through timestamp: Int64, where isCovered: ([UInt8]) -> Bool) -> Bool {
        let prefix = KeyEncoder.prefix(table: TableID(table), region: Region(partition)).count
        let plain = KeyEncoder.prefix(table: .system, region: "")
        var isErased = false
        for position in commits.indices where commits[position].timestamp <= timestamp {
            commits[position].changes.removeAll { change in
                guard let key = Hexadecimal.bytes(change.key), key.count >= prefix, isCovered(plain + key[prefix...])
                else { return false }
                isErased = true
                return true
            }
        }
        return isErased
    }

    func encoded() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
