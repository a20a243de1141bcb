import MeridianCore

/// Compaction and checkpoints: what nobody waits for.
extension SQLiteLogStore {
    /// Rows that one transaction deletes, so that a checkpoint after a long time does not hold up the log for long.
    static let deletedRunsPerTransaction: Int64 = 4096

    package var pendingCheckpointByteCount: Int { pending.byteCount }

    /// Compacts in memory. The next checkpoint writes it down.
    func compact(_ writes: [LogWrite]) {
        for write in writes {
            guard let position = write.compact, groups[write.range]?.compact(to: position) ?? false else { continue }
            hide(through: position.index, of: write.range)
            uncompacted.insert(write.range)
        }
    }

    // What is hidden entirely is dead; what is hidden in part lives on in its run.

    func hideAll(of range: RangeID) {
        dead += (runs[range] ?? []).map { $0.sequence...$0.sequence }
        runs[range] = nil
    }

    func hide(through index: LogIndex, of range: RangeID) {
        guard let live = runs[range] else { return }
        let kept = live.firstIndex { $0.last > index } ?? live.count
        dead += live[..<kept].map { $0.sequence...$0.sequence }
        runs[range]!.removeFirst(kept)
    }

    func hide(from index: LogIndex, of range: RangeID) {
        while let run = runs[range]?.last, run.last >= index {
            if run.first < index {
                runs[range]![runs[range]!.count - 1].last = index.previous
                return
            }
            runs[range]!.removeLast()
            dead.append(run.sequence...run.sequence)
        }
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
