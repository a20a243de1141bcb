import GRDBSQLite

/// Counts the pages that were committed to a write-ahead log since the last checkpoint.
final class PendingFrames {
    /// A frame is a page and its header.
    static let frameByteCount = 4096 + 24

    private(set) var count = 0
    private var lastFrame = 0

    var byteCount: Int { count * Self.frameByteCount }

    /// Begins to count. The connection must not outlive the counter.
    func observe(_ connection: OpaquePointer) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_wal_hook(
            connection,
            { context, _, _, frames in
                Unmanaged<PendingFrames>.fromOpaque(context!).takeUnretainedValue().committed(Int(frames))
                return SQLITE_OK
            }, context)
    }

    func reset() { count = 0 }

    /// - Parameter frames: how many there are in the log after the commit; fewer than before if it started over.
    private func committed(_ frames: Int) {
        count += frames >= lastFrame ? frames - lastFrame : frames
        lastFrame = frames
    }
}
