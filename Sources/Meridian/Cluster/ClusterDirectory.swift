import Foundation
import MeridianCore
import MeridianStorage

/// The directory of a whole embedded cluster: a file that says whose it is, and a folder a node with a file beside it
/// that says whether the folder may be empty.
///
/// The path is made absolute when the directory is opened: what a `chdir` makes of a relative one is another place.
struct ClusterDirectory: Sendable {
    let path: String
    let clusterID: String
    let isTemporary: Bool

    private static let format = 1
    private static let fileName = "CLUSTER"

    /// Opens the directory, or makes it.
    /// - Throws: `.wrongCluster` when other nodes live there, `.newerFormat`, `.corruption`, `.storageFailed`.
    static func open(_ storage: ClusterConfiguration.Storage, topology: Topology) throws -> ClusterDirectory? {
        switch storage {
        case .memory: return nil
        case .temporary:
            let path = FileManager.default.temporaryDirectory.appendingPathComponent("meridian-\(UUID())").path
            return try make(path, topology, isTemporary: true)
        case .directory(let given):
            let path = absolute(given)
            let file = URL(fileURLWithPath: path).appendingPathComponent(fileName)
            guard FileManager.default.fileExists(atPath: file.path) else {
                return try make(path, topology, isTemporary: false)
            }
            return try read(file, path, topology)
        }
    }

    /// Opens a directory that is there.
    /// - Throws: as `open`, and `.storageFailed` when it is none of a cluster.
    static func openExisting(_ given: String, topology: Topology) throws -> ClusterDirectory {
        let path = absolute(given)
        let file = URL(fileURLWithPath: path).appendingPathComponent(fileName)
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw MeridianError(.storageFailed, "\(path) holds no cluster: it has no file \(fileName)")
        }
        return try read(file, path, topology)
    }

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    /// What is known of a node's files from outside of them, so that their loss is noticed.
    enum NodeFiles: String {
        /// The node has never run. Every node of a new cluster has this noted before the cluster's own file is written.
        case new
        /// The node spoke to others with what its files say: without them it must not start as if it were new.
        case inUse = "in use"
        /// The files are lost or damaged: they are thrown away at the next start.
        case lost
    }

    func files(of node: NodeDescriptor) throws -> NodeFiles {
        let file = path + "/" + Self.stateFile(node)
        let text = try? String(contentsOfFile: file, encoding: .utf8)
        guard let state = text.flatMap({ NodeFiles(rawValue: $0.trimmingCharacters(in: .newlines)) }) else {
            throw MeridianError(.corruption, "\(file) is missing or does not say whether the node's files are good")
        }
        return state
    }

    /// Notes that a node's files are lost, unless they are in use. Durable when it returns.
    /// - Throws: `.directoryInUse` while the node runs, here or in another process; `.storageFailed`.
    func noteLost(_ node: NodeDescriptor) throws {
        try SQLiteStores.whileNobodyUses(nodeDirectory(node)) { try note(.lost, of: node) }
    }

    /// Durable when it returns.
    func note(_ state: NodeFiles, of node: NodeDescriptor) throws {
        try DurableFiles.replace(Self.stateFile(node), in: path, with: state.rawValue + "\n")
    }

    private static func stateFile(_ node: NodeDescriptor) -> String { node.name + ".files" }

    /// The key of the cluster's causal tokens, drawn when it is first asked for. Durable when this returns.
    func tokenKey() throws -> [UInt8] {
        let file = path + "/" + Self.keyFileName
        guard FileManager.default.fileExists(atPath: file) else {
            let key = TokenSeal.drawKey()
            try DurableFiles.replace(Self.keyFileName, in: path, with: Hexadecimal.text(key) + "\n")
            try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
            return key
        }
        let text = try? String(contentsOfFile: file, encoding: .utf8)
        guard let key = text.flatMap({ Hexadecimal.bytes($0.trimmingCharacters(in: .newlines)) }),
            key.count == TokenSeal.keyByteCount
        else {
            throw MeridianError(
                .corruption, "\(file) is not a token key; restore it, or remove it, which ends the tokens given out")
        }
        return key
    }

    private static let keyFileName = "TOKENS.key"

    private static let erasureFileName = "ERASURES"

    /// The end of the chain of erasure certificates.
    func lastErasure() throws -> ErasureChainHead? {
        let file = path + "/" + Self.erasureFileName
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        let words = (try? String(contentsOfFile: file, encoding: .utf8))?.split(whereSeparator: \.isWhitespace) ?? []
        guard words.count == 2, let sequence = Int(words[0]) else {
            throw MeridianError(.corruption, "\(file) does not say where the chain of erasures ends; restore it")
        }
        return ErasureChainHead(sequence: sequence, seal: String(words[1]))
    }

    func note(_ head: ErasureChainHead) throws {
        try DurableFiles.replace(Self.erasureFileName, in: path, with: "\(head.sequence) \(head.seal)\n")
    }

    func nodeDirectory(_ node: NodeDescriptor) -> String { path + "/" + node.name }

    func removeIfTemporary() {
        if isTemporary { try? FileManager.default.removeItem(atPath: path) }
    }

    private static func make(
        _ path: String, _ topology: Topology, isTemporary: Bool
    ) throws -> ClusterDirectory {
        let id = UUID().uuidString
        let text = ["format \(format)", "cluster \(id)"] + lines(topology)
        let directory = ClusterDirectory(path: path, clusterID: id, isTemporary: isTemporary)
        try DurableFiles.makeDirectory(path)
        // Before the cluster's own file: where that is, a node without a note has lost it.
        for node in topology.nodes { try directory.note(.new, of: node) }
        try DurableFiles.replace(fileName, in: path, with: text.joined(separator: "\n") + "\n")
        return directory
    }

    private static func read(_ file: URL, _ path: String, _ topology: Topology) throws -> ClusterDirectory {
        guard let text = try? String(contentsOf: file, encoding: .utf8) else {
            throw MeridianError(.corruption, "\(file.path) cannot be read as text")
        }
        let found = text.split(separator: "\n").map(String.init)
        guard found.count >= 2, found[0].hasPrefix("format "), let number = Int(found[0].dropFirst(7)),
            found[1].hasPrefix("cluster ")
        else { throw MeridianError(.corruption, "\(file.path) does not describe a cluster; restore it from a copy") }
        guard number <= format else {
            throw MeridianError(.newerFormat, "\(path) has format \(number); this program reads up to \(format)")
        }
        guard Array(found[2...]) == lines(topology) else {
            throw MeridianError(
                .wrongCluster,
                "\(path) holds a cluster of other nodes: " + found[2...].joined(separator: "; ")
                    + ". Start it with that topology, or use another directory")
        }
        return ClusterDirectory(path: path, clusterID: String(found[1].dropFirst(8)), isTemporary: false)
    }

    /// The nodes, as far as their files depend on them.
    private static func lines(_ topology: Topology) -> [String] {
        topology.nodes.map { node in
            "node \(node.id.rawValue) \(node.name) \(node.region) \(node.zone) "
                + topology.jurisdiction(of: node.region).rawValue
        }
    }
}
