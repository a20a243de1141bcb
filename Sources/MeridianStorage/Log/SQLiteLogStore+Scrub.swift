import MeridianCore

/// Making sure that entries which were compacted are gone from the bytes as well.
extension SQLiteLogStore {
    package func scrub(_ forgotten: [RangeID: LogIndex]) throws -> Bool {
        if !isLoaded { _ = try readAll() }
        for (range, index) in forgotten {
            if let base = groups[range]?.base, base.index < index { return false }
            // A run of which the end still shows has its beginning in the file, too.
            if let run = runs[range]?.first, run.first <= index { return false }
        }
        try checkpoint()
        // From here to the end the write-ahead log may be short: a crash in between must not be taken for a loss.
        try noteWriteAheadLog(of: 0)
        let isDone = try connection.scrub()
        pending.reset()
        try noteWriteAheadLog(of: try connection.growWriteAheadLog(to: preallocatedByteCount))
        return isDone
    }
}
