import MeridianCore
import MeridianStorage
import Synchronization

/// A node whose disk was lost, and its return under the same name.
extension EmbeddedCluster {
    /// Throws the files of a node away and starts it anew, under the same name: after a dead disk, or when its start
    /// throws `.corruption`.
    ///
    /// The node gets everything back from its peers. Until they have readmitted it to a range, which takes an election
    /// timeout or two and the time to copy the rows, it neither votes nor counts for commits of that range, so no
    /// acknowledged write is lost, and the range needs a quorum of the other voters. A range without such a quorum
    /// waits for the nodes that have not come back; if all of them lost their disks, it waits for ever, because nobody
    /// can tell what had been acknowledged.
    ///
    /// Once it returns, the node is remembered as one that lost its files: a crash at any moment changes nothing.
    /// - Throws: `.directoryInUse` while the node runs, here or in another process; `.invalidTopology` when there is no
    ///   such node; otherwise what `start(_:)` throws.
    public func replace(_ node: NodeID) async throws {
        let descriptor = try Self.descriptor(of: node, in: topology)
        try state.withLock { state in
            guard state.drivers[node] == nil else {
                throw MeridianError(
                    .directoryInUse, "node \(descriptor.name) runs; stop or kill it before it is replaced")
            }
            if files == nil { state.lost.insert(node) }
        }
        try files?.noteLost(descriptor)
        try await start(node)
    }

    /// Marks a node of a cluster that does not run: when the cluster starts, the node's files are thrown away and it
    /// comes back as `replace(_:)` says. For a cluster that cannot start because one node's files are damaged.
    /// - Throws: `.directoryInUse` while the node runs, here or in another process; `.wrongCluster` when the directory
    ///   holds another topology; `.invalidTopology` when there is no such node; `.storageFailed`, also when the
    ///   directory holds no cluster.
    public static func replace(_ node: NodeID, in directory: String, topology: Topology) throws {
        let descriptor = try descriptor(of: node, in: topology)
        try ClusterDirectory.openExisting(directory, topology: topology).noteLost(descriptor)
    }

    private static func descriptor(of node: NodeID, in topology: Topology) throws -> NodeDescriptor {
        guard let descriptor = topology.node(node) else {
            throw MeridianError(.invalidTopology, "\(node) is not in the topology")
        }
        return descriptor
    }

    /// Before a node's stores are opened.
    /// - Returns: whether its files were lost, and are gone now.
    /// - Throws: `.corruption` when they are missing and nobody said that they may be.
    func throwAwayLostFiles(of node: NodeDescriptor) throws -> Bool {
        guard let files else {
            return state.withLock { state in
                guard state.lost.contains(node.id) else { return false }
                state.memory[node.id] = nil
                return true
            }
        }
        let directory = files.nodeDirectory(node)
        switch try files.files(of: node) {
        case .new: return false
        case .inUse:
            guard SQLiteStores.hasLog(directory: directory) else {
                throw MeridianError(.corruption, "\(directory) has no log any more")
            }
            return false
        case .lost:
            try SQLiteStores.remove(directory: directory)
            return true
        }
    }

    /// The node's files say what it must remember: from now on they may not be missing. Before it first speaks.
    func noteInUse(_ node: NodeDescriptor) throws {
        guard let files else {
            state.withLock { _ = $0.lost.remove(node.id) }
            return
        }
        if try files.files(of: node) != .inUse { try files.note(.inUse, of: node) }
    }
}
