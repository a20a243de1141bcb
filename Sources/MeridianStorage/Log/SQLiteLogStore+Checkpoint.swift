import MeridianCore

/// Compaction and checkpoints: what nobody waits for.
extension SQLiteLogStore {
    /// Rows that one transaction deletes, so that a checkpoint after a long time does not hold up the log for long.
    static let deletedRunsPerTransaction: Int64 = 4096

    package var pendingCheckpointByteCount: Int { pending.byteCount }

    func compact(_ write: LogWrite) {
        guard let position = write.compact, groups[write.range] != nil else { return }
        groups[write.range]!.compact(to: position, &dead)
        uncompacted.insert(write.range)
    }

    package func checkpoint() throws {
        try deleteDead()
        try connection.checkpoint()
        pending.reset()
    }

    /// Deletes what is hidden. First the positions are written that hide it, and then the rows go from the lowest
    /// sequence up, so that at every moment of a crash the remaining rows mean the same.
    private func deleteDead() throws {
        if !uncompacted.isEmpty {
            try connection.transaction {
                for range in uncompacted.sorted() {
                    if let group = groups[range] { try put(group, of: range) }
                }
            }
            uncompacted = []
        }
        for interval in joined(dead) {
            var lower = interval.lowerBound
            while lower <= interval.upperBound {
                let upper = min(interval.upperBound, lower + Self.deletedRunsPerTransaction - 1)
                try connection.transaction {
                    deleteRuns.bind(1, lower)
                    deleteRuns.bind(2, upper)
                    try deleteRuns.run()
                }
                lower = upper + 1
            }
        }
        dead = []
    }
}
