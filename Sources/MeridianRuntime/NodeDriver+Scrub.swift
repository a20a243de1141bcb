import MeridianCore
import MeridianReplica

/// After an erasure: this node's files are rewritten until they hold nothing of it.
extension NodeDriver {
    /// One attempt. Blocks nobody but this node's log and state threads, while they write their files anew.
    /// - Parameter erasures: where in the ranges' logs they stand.
    /// - Returns: whether it is done. Not before this node has applied the erasure, nor while a snapshot is under way:
    ///   ask again.
    package func scrub(_ erasures: [RangeID: LogIndex]) async -> Bool {
        let durable = await withUnsafeContinuation { continuation in
            state.checkpoint { continuation.resume(returning: $0) }
        }
        guard erasures.allSatisfy({ range, index in durable[range].map { $0 >= index } ?? false }) else { return false }
        // The step that this asks for comes after the one that learns of the checkpoint, and gives the log its job.
        for (range, index) in erasures.sorted(by: { $0.key < $1.key }) { enqueue(.forget(range, through: index)) }
        let isLogClean = await withUnsafeContinuation { continuation in
            log.scrub(erasures) { continuation.resume(returning: $0) }
        }
        guard isLogClean else { return false }
        return await withUnsafeContinuation { continuation in
            state.scrub { continuation.resume(returning: $0) }
        }
    }
}
