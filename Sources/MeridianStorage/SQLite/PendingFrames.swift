import GRDBSQLite
import Synchronization

/// Counts the pages that were committed to a write-ahead log since the last checkpoint.
final class PendingFrames: Sendable {
    /// A frame is a page and its header.
    static let frameByteCount = 4096 + 24

    private let count = Atomic(0)
    private let lastFrame = Atomic(0)

    var byteCount: Int { count.load(ordering: .relaxed) * Self.frameByteCount }

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

    func reset() { count.store(0, ordering: .relaxed) }

    /// - Parameter frames: how many there are in the log after the commit; fewer than before if it started over.
    private func committed(_ frames: Int) {
        let last = lastFrame.exchange(frames, ordering: .relaxed)
        count.add(frames >= last ? frames - last : frames, ordering: .relaxed)
    }
}
