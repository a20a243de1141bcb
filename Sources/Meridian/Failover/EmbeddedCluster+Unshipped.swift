import Foundation
import MeridianCore
import MeridianReplica
import MeridianStorage
import Synchronization

/// A commit that a lost home region had taken, and that the history which went on elsewhere does not have.
public struct UnshippedCommit<Row: Codable & Sendable>: Sendable {
    public enum Change: Sendable {
        case wrote(Row)
        /// The parts of the key of a row that was deleted, as text.
        case deleted(key: [String])
    }

    /// The commit's name, as in its receipt.
    public var id: String
    public var timestamp: Timestamp
    /// The region that the rows name.
    public var partition: Region
    /// Whether the old home is known to have committed it: then its client may have been told so. Otherwise it was on
    /// its way.
    public var isCommitted: Bool
    public var changes: [Change]
    /// The commit's writes are not known: they were prepared before the histories parted.
    public var isIncomplete: Bool
}

/// What the replicas of a lost home region knew alone.
extension EmbeddedCluster {
    /// The commits of a table that failovers have left behind, as far as nodes that held them have come back: in the
    /// order of their timestamps, each once.
    ///
    /// They are no part of the table any more; whoever knows what they mean decides whether to write them again.
    /// - Throws: `.corruption` for a report that cannot be read; what the row's decoding throws.
    public func unshippedCommits<Row>(of table: Table<Row>) async throws -> [UnshippedCommit<Row>] {
        let database = Database(host: self, region: topology.regions[0])
        let resolved = try await database.resolve(table, end: deadline(after: Database.defaultDeadline))
        var found: [String: UnshippedCommit<Row>] = [:]
        for file in try unshippedFiles() where file.table == resolved.id.rawValue {
            for commit in file.commits {
                if let known = found[commit.request], known.isCommitted || !commit.isCommitted { continue }
                found[commit.request] = UnshippedCommit(
                    id: commit.request, timestamp: Timestamp(rawValue: commit.timestamp),
                    partition: Region(file.partition), isCommitted: commit.isCommitted,
                    changes: try commit.changes.map { try change($0, of: table) }, isIncomplete: commit.isIncomplete)
            }
        }
        return found.values.sorted { ($0.timestamp, $0.id) < ($1.timestamp, $1.id) }
    }

    private func change<Row>(
        _ change: UnshippedFile.Change, of table: Table<Row>
    ) throws -> UnshippedCommit<Row>.Change {
        let broken = MeridianError(.corruption, "a report of unshipped commits of table \(table.name) is damaged")
        guard let key = Hexadecimal.bytes(change.key) else { throw broken }
        guard let digits = change.value else {
            var decoder = try KeyDecoder(Key(key))
            return .deleted(key: try decoder.values().map { "\($0)" })
        }
        guard let value = Hexadecimal.bytes(digits) else { throw broken }
        return .wrote(try table.decode(try RowCoding.decode(value, name: table.name)))
    }

    private func unshippedFiles() throws -> [UnshippedFile] {
        guard let files else { return state.withLock { $0.unshipped } }
        var found: [UnshippedFile] = []
        for node in topology.nodes {
            let directory = files.nodeDirectory(node)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
            for name in names.sorted() where name.hasPrefix(UnshippedFile.prefix) && name.hasSuffix(".json") {
                let path = directory + "/" + name
                guard let data = FileManager.default.contents(atPath: path),
                    let file = try? JSONDecoder().decode(UnshippedFile.self, from: data)
                else { throw MeridianError(.corruption, "\(path) is no report of unshipped commits") }
                found.append(file)
            }
        }
        return found
    }

    /// Keeps what a node has salvaged, durably. A report that is there already has at least as much.
    func keep(_ salvage: Salvage, of node: NodeDescriptor) throws {
        let file = UnshippedFile(salvage)
        guard let files else { return state.withLock { $0.unshipped.append(file) } }
        let directory = files.nodeDirectory(node)
        guard !FileManager.default.fileExists(atPath: directory + "/" + file.name) else { return }
        try SQLiteStores.replaceFile(file.name, in: directory, with: try file.encoded())
    }
}
