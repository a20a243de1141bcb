import MeridianCore

/// Whose files these are. It is written into both files, in words, so that an auditor can see what a file is and
/// where it may lie, and so that a directory of another cluster, node or place is not opened by mistake.
package struct StoreIdentity: Hashable, Sendable {
    package var clusterID: String
    package var node: NodeID
    /// The node's name, for people. It may change.
    package var name: String
    package var region: Region
    package var jurisdiction: Jurisdiction?

    package init(clusterID: String, node: NodeID, name: String, region: Region, jurisdiction: Jurisdiction? = nil) {
        self.clusterID = clusterID
        self.node = node
        self.name = name
        self.region = region
        self.jurisdiction = jurisdiction
    }
}

package struct SQLiteStoreOptions: Hashable, Sendable {
    /// How long an applied request is remembered, measured by the range's closed timestamp and not by a clock, so that
    /// all replicas remember the same. It bounds memory: about 90 bytes for each commit in that time.
    package var requestRetention: Duration = .seconds(60)
    /// Bytes that the log's write-ahead log is grown to when it is opened, which makes fsyncs cheaper until a
    /// checkpoint. Checkpoint before so much is pending.
    package var logPreallocatedByteCount = 8 * 1024 * 1024
    /// Applied bytes in memory above which they are written to the file, without a sync, although nobody asked for a
    /// checkpoint.
    package var maximumRecentByteCount = 64 * 1024 * 1024
    /// The page cache of the connection that writes checkpoints.
    package var stateCacheByteCount = 32 * 1024 * 1024
    /// The page cache of each reader.
    package var readerCacheByteCount = 2 * 1024 * 1024
    /// A limit on each file's size, in pages of 4 KiB, above which writes throw `.diskFull`. For tests and quotas.
    package var maximumPageCount: Int?

    package init() {}
}
