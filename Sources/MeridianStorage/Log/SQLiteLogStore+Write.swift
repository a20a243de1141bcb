import MeridianCore

/// Writing a batch. The transaction comes first and the picture in memory follows when it is durable, so that a batch
/// that failed leaves both as they were.
extension SQLiteLogStore {
    package func write(_ writes: [LogWrite]) throws {
        guard !writes.isEmpty else { return }
        if !isLoaded { _ = try readAll() }
        // A batch of compactions alone has nobody waiting for it, and losing one costs only space: the next checkpoint
        // writes it down with the rows that it deletes.
        if writes.allSatisfy(\.isOnlyCompaction), connection.failure == nil {
            return compact(writes)
        }
        var batch = Batch(nextSequence: nextSequence)
        try connection.transaction {
            for write in writes { try apply(write, to: &batch) }
        }
        for (range, group) in batch.groups { groups[range] = group }
        for (range, change) in batch.changes { follow(change, of: range) }
        nextSequence = batch.nextSequence
    }

    /// What a batch changes in memory once its transaction has been committed.
    private struct Batch {
        var groups: [RangeID: Group?] = [:]
        var changes: [(range: RangeID, change: Change)] = []
        var nextSequence: Int64
    }

    /// A change of the runs of which something shows.
    private enum Change {
        case clear
        case truncate(from: LogIndex)
        case append(Run)
        case compact(to: LogIndex)
    }

    private func follow(_ change: Change, of range: RangeID) {
        switch change {
        case .clear: hideAll(of: range)
        case .truncate(let index): hide(from: index, of: range)
        case .append(let run): runs[range, default: []].append(run)
        case .compact(let index): hide(through: index, of: range)
        }
    }

    private func apply(_ write: LogWrite, to batch: inout Batch) throws {
        let range = write.range
        var stored = batch.groups[range] ?? groups[range]
        if write.remove, stored != nil {
            batch.changes.append((range, .clear))
            deleteGroup.bind(1, range.rawValue)
            try deleteGroup.run()
            stored = nil
        }
        batch.groups[range] = .some(stored)
        guard write.reset != nil || !write.entries.isEmpty || write.hardState != nil else {
            guard let position = write.compact, var group = stored else { return }
            compact(&group, of: range, to: position, &batch)
            batch.groups[range] = .some(group)
            return try put(group, of: range)
        }
        var group = stored ?? Group(firstSequence: batch.nextSequence, lastIndex: .zero)
        if let position = write.reset {
            batch.changes.append((range, .clear))
            group.base = position
            group.lastIndex = position.index
            group.firstSequence = batch.nextSequence
        }
        if !write.entries.isEmpty { try append(write.entries, of: range, to: &group, &batch) }
        if let hardState = write.hardState { group.hardState = hardState }
        if let position = write.compact { compact(&group, of: range, to: position, &batch) }
        if stored == nil || write.reset != nil || write.hardState != nil || write.compact != nil {
            try put(group, of: range)
        }
        batch.groups[range] = .some(group)
    }

    private func compact(_ group: inout Group, of range: RangeID, to position: LogPosition, _ batch: inout Batch) {
        guard group.compact(to: position) else { return }
        batch.changes.append((range, .compact(to: position.index)))
    }

    private func append(
        _ entries: [Entry], of range: RangeID, to group: inout Group, _ batch: inout Batch
    ) throws {
        let first = entries[0].index
        precondition(
            first > group.base.index && first <= group.lastIndex.next,
            "\(range): entries from \(first) on a log of \(group.base.index)...\(group.lastIndex)")
        if first <= group.lastIndex { batch.changes.append((range, .truncate(from: first))) }
        var start = 0
        while start < entries.count {
            buffer.removeAll()
            var end = start
            repeat {
                precondition(
                    entries[end].index.rawValue == first.rawValue + UInt64(end),
                    "\(range): entry \(entries[end].index) after \(first) and \(end - 1) more")
                EntryCoding.encode(entries[end], of: range, to: &buffer)
                end += 1
            } while end < entries.count && buffer.count < Self.maximumRunByteCount
            let run = Run(sequence: batch.nextSequence, first: entries[start].index, last: entries[end - 1].index)
            insertRun.bind(1, run.sequence)
            insertRun.bind(2, range.rawValue)
            insertRun.bind(3, run.first.rawValue)
            insertRun.bind(4, run.last.rawValue)
            insertRun.bind(5, buffer.bytes)
            insertRun.bind(6, Int64(run.checksum(range)))
            try insertRun.run()
            batch.changes.append((range, .append(run)))
            batch.nextSequence += 1
            start = end
        }
        group.lastIndex = entries[entries.count - 1].index
    }

    func put(_ group: Group, of range: RangeID) throws {
        putGroup.bind(1, range.rawValue)
        putGroup.bind(2, group.hardState.term.rawValue)
        if let vote = group.hardState.vote { putGroup.bind(3, Int64(vote.rawValue)) } else { putGroup.bindNull(3) }
        putGroup.bind(4, group.hardState.commit.rawValue)
        putGroup.bind(5, group.base.term.rawValue)
        putGroup.bind(6, group.base.index.rawValue)
        putGroup.bind(7, group.firstSequence)
        putGroup.bind(8, Int64(group.checksum(range)))
        putGroup.bind(9, group.hardState.incarnation.rawValue)
        putGroup.bind(10, Int64(group.hardState.isRecovering ? 1 : 0))
        putGroup.bind(11, group.hardState.floor.term.rawValue)
        putGroup.bind(12, group.hardState.floor.index.rawValue)
        putGroup.bind(13, Int64(group.hardState.isDeparting ? 1 : 0))
        try putGroup.run()
    }
}

extension LogWrite {
    fileprivate var isOnlyCompaction: Bool {
        !remove && reset == nil && entries.isEmpty && hardState == nil && compact != nil
    }
}

extension SQLiteLogStore.Group {
    /// Moves the base up.
    /// - Returns: whether it was below.
    mutating func compact(to position: LogPosition) -> Bool {
        guard position.index > base.index else { return false }
        precondition(position.index <= lastIndex, "compaction to \(position) beyond \(lastIndex)")
        base = position
        return true
    }

    /// Over everything that the row in `groups` says.
    func checksum(_ range: RangeID) -> UInt32 {
        var checksum = Checksum()
        checksum.combine(range.rawValue)
        checksum.combine(hardState.term.rawValue)
        checksum.combine(hardState.vote.map { UInt64($0.rawValue) } ?? .max)
        checksum.combine(hardState.commit.rawValue)
        checksum.combine(base.term.rawValue)
        checksum.combine(base.index.rawValue)
        checksum.combine(UInt64(bitPattern: firstSequence))
        // Files of format 1 had neither, and their sums go on to hold.
        if hardState.incarnation != .first {
            checksum.combine(hardState.incarnation.rawValue)
            checksum.combine(UInt64(hardState.isRecovering ? 1 : 0))
        }
        // Nor had files before format 5 these.
        if hardState.isDeparting || hardState.floor > .zero {
            checksum.combine(hardState.floor.term.rawValue)
            checksum.combine(hardState.floor.index.rawValue)
            checksum.combine(UInt64(hardState.isDeparting ? 1 : 0))
        }
        return checksum.value
    }
}

extension SQLiteLogStore.Run {
    /// Over where the run is and what it holds; the entries have checksums of their own.
    func checksum(_ range: RangeID) -> UInt32 {
        var checksum = Checksum()
        checksum.combine(range.rawValue)
        checksum.combine(UInt64(bitPattern: sequence))
        checksum.combine(first.rawValue)
        checksum.combine(last.rawValue)
        return checksum.value
    }
}
