import MeridianCore
import MeridianReplica
import MeridianRuntime
import Synchronization

/// Replicas of one range were found to hold different rows.
public struct ReplicaDivergence: Hashable, Sendable {
    /// Of which table; `nil` for the cluster's own rows.
    public var table: String?
    /// Where the range's rows are at home.
    public var partition: Region
    /// Whose replica differs.
    public var node: NodeID
    /// At which index of the range's log, by which it can be found in the nodes' logs.
    public var index: UInt64
    /// A quorum agrees without it: it has left service, and gets its rows from a peer. Otherwise nobody knows who is
    /// right; each of them is named, all go on, and somebody must decide.
    public var isRebuilt: Bool
}

extension EmbeddedCluster {
    /// What the running nodes have found by comparing what their replicas' rows add up to, since they were started: the
    /// last hundred of each. Each finding is in the logger as well, at level `critical`.
    public var divergences: [ReplicaDivergence] {
        let drivers = state.withLock { state in state.drivers.sorted { $0.key < $1.key }.map(\.value) }
        return drivers.flatMap { driver in
            driver.divergences.map { found in
                let range = driver.catalog.directory[found.range]
                return ReplicaDivergence(
                    table: range.flatMap { driver.catalog[$0.table]?.descriptor.name },
                    partition: range?.partition ?? topology.regions[0], node: found.node,
                    index: found.index.rawValue, isRebuilt: found.isRebuilt)
            }
        }
    }
}
