/// When an entry counts as committed: the one thing in which the replication modes differ (DESIGN §6).
///
/// Every rule contains a majority of the voters, so that elections by majority see every committed entry.
package enum CommitRule: Hashable, Sendable {
    /// A majority of the voters (in joint consensus, of both configurations).
    case majority
    /// A majority of the voters that also spans at least this many regions.
    case regionDiverse(minimumRegions: Int)
    /// A majority of the voters, all of them at home, and a durable copy in at least `remoteRegions` other regions,
    /// where learners count as well.
    case semiSynchronous(home: Region, remoteRegions: Int)
    /// A majority of the voters, all of them at home. Other regions follow as learners.
    case asynchronous(home: Region)
}
