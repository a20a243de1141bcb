import MeridianCore

/// A file beside a node's stores which says that they are not to be trusted any more: `FAILED`.
///
/// After a failed sync nobody knows what the disk holds: the kernel may have marked the pages clean, so that the cache
/// shows what the disk does not have, and a later sync succeeds and writes nothing of it (Rebello et al., "Can
/// Applications Recover from fsync Failures?", ATC 2020). A process that is started again reads that cache. It would
/// promise, by what it finds there, what the next power cut takes back. So the failure outlives the process: such a
/// directory is refused until its files are thrown away, and the node gets everything back from its peers as one that
/// lost its disk.
///
/// HAZARD: a disk that does not take the mark either leaves none. It is tried again when the stores close; after that,
/// who starts the node must know that the disk has failed.
struct FailureMark: Sendable {
    static let fileName = "FAILED"

    let directory: String
    let files: any FileSystem

    /// - Throws: `MeridianError` with `.corruption` if a sync has failed here.
    func check() throws {
        guard files.hasFile(directory + "/" + Self.fileName) else { return }
        throw MeridianError(
            .corruption,
            "\(directory): a write to its files has failed before, and what they hold is not known; replace the node, "
                + "which gets everything back from its peers")
    }

    func set(because error: MeridianError) {
        try? files.replace(Self.fileName, in: directory, with: error.message + "\n")
    }
}
