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

    /// The commit's name, as in its receipt; made of its timestamp where its log entry is gone and only its rows are
    /// known.
    public var id: String
    public var timestamp: Timestamp
    /// The region that the rows name.
    public var partition: Region
    /// Whether the old home is known to have committed it: then its client may have been told so. Otherwise it was on
    /// its way.
    public var isCommitted: Bool
    public var changes: [Change]
    /// Not all of the commit's writes are known: they were prepared before the histories parted, or its log entry is
    /// gone and only the rows are known that no later commit wrote. The latter may be in the new history as well, if
    /// the commit was made within moments of its beginning.
    public var isIncomplete: Bool
    /// It is one range's part of a transaction that was prepared there and no more: the other parts stand where they
    /// were written, if it has committed.
    public var isPrepared: Bool
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
        let kept = try unshippedFiles().filter { $0.table == resolved.id.rawValue }
        // One node may have the log entry of what another one knows by its rows alone.
        let logged = Set(kept.flatMap { file in file.commits.lazy.filter { $0.index > 0 }.map(\.timestamp) })
        for file in kept {
            for commit in file.commits where commit.index > 0 || !logged.contains(commit.timestamp) {
                if let known = found[commit.request], known.isCommitted || !commit.isCommitted { continue }
                found[commit.request] = UnshippedCommit(
                    id: commit.request, timestamp: Timestamp(rawValue: commit.timestamp),
                    partition: Region(file.partition), isCommitted: commit.isCommitted,
                    changes: try commit.changes.map { try change($0, of: table) }, isIncomplete: commit.isIncomplete,
                    isPrepared: commit.isPrepared)
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
        guard files != nil else { return state.withLock { $0.unshipped.values.flatMap(\.self) } }
        return try topology.nodes.flatMap { try unshippedFiles(of: $0) }
    }

    /// What a node has kept; in memory, or in its own folder.
    private func unshippedFiles(of node: NodeDescriptor) throws -> [UnshippedFile] {
        guard let files else { return state.withLock { $0.unshipped[node.id] ?? [] } }
        let directory = files.nodeDirectory(node)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return try names.sorted().filter(UnshippedFile.isName).map { name in
            let path = directory + "/" + name
            guard let data = FileManager.default.contents(atPath: path),
                let file = try? JSONDecoder().decode(UnshippedFile.self, from: data)
            else { throw MeridianError(.corruption, "\(path) is no report of unshipped commits") }
            return file
        }
    }

    /// Writes a report in the place of an earlier state of it, durably.
    private func write(_ file: UnshippedFile, of node: NodeDescriptor) throws {
        guard let files else {
            return state.withLock { state in
                state.unshipped[node.id, default: []].removeAll { $0.name == file.name }
                state.unshipped[node.id, default: []].append(file)
            }
        }
        try DurableFiles.replace(file.name, in: files.nodeDirectory(node), with: try file.encoded())
    }

    /// Keeps what a node has salvaged, durably. A node that crashed between the report and the end of what it had
    /// salvaged does it again, and may have taken in more of the old history meanwhile: nothing of either is left out.
    func keep(_ salvage: Salvage, of node: NodeDescriptor) throws {
        var file = UnshippedFile(salvage)
        if let earlier = try unshippedFiles(of: node).first(where: { $0.name == file.name }) { file.add(earlier) }
        try write(file, of: node)
    }

    /// Erases from a node's reports what a certificate covers.
    func eraseReports(of node: NodeDescriptor, coveredBy certificate: ErasureCertificate) throws {
        for range in certificate.ranges {
            for var file in try unshippedFiles(of: node) where file.range == range.range {
                let isErased = file.erase(through: range.throughNanoseconds) { key in
                    certificate.keyDigests.contains(ErasureCertificate.digest(key, salt: certificate.salt))
                }
                if isErased { try write(file, of: node) }
            }
        }
    }
}
