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
            for write in writes { compact(write) }
            return
        }
        var changed: [RangeID: Group?] = [:]
        var hidden: [ClosedRange<Int64>] = []
        var sequence = nextSequence
        try connection.transaction {
            for write in writes {
                var group = changed[write.range] ?? groups[write.range]
                try apply(write, to: &group, &sequence, &hidden)
                changed[write.range] = .some(group)
            }
        }
        for (range, group) in changed { groups[range] = group }
        nextSequence = sequence
        dead += hidden
    }

    private func apply(
        _ write: LogWrite, to stored: inout Group?, _ sequence: inout Int64, _ hidden: inout [ClosedRange<Int64>]
    ) throws {
        if write.remove, let group = stored {
            hidden += group.runs.map { $0.sequence...$0.sequence }
            deleteGroup.bind(1, write.range.rawValue)
            try deleteGroup.run()
            stored = nil
        }
        guard write.reset != nil || !write.entries.isEmpty || write.hardState != nil || write.compact != nil else {
            return
        }
        let isNew = stored == nil
        var group = stored ?? Group(firstSequence: sequence, lastIndex: .zero)
        if let position = write.reset {
            hidden += group.runs.map { $0.sequence...$0.sequence }
            group.runs = []
            group.base = position
            group.lastIndex = position.index
            group.firstSequence = sequence
        }
        if !write.entries.isEmpty { try append(write.entries, of: write.range, to: &group, &sequence, &hidden) }
        if let hardState = write.hardState { group.hardState = hardState }
        if let position = write.compact { group.compact(to: position, &hidden) }
        if isNew || write.reset != nil || write.hardState != nil || write.compact != nil {
            try put(group, of: write.range)
        }
        stored = group
    }

    private func append(
        _ entries: [Entry], of range: RangeID, to group: inout Group, _ sequence: inout Int64,
        _ hidden: inout [ClosedRange<Int64>]
    ) throws {
        let first = entries[0].index
        precondition(
            first > group.base.index && first <= group.lastIndex.next,
            "\(range): entries from \(first) on a log of \(group.base.index)...\(group.lastIndex)")
        if first <= group.lastIndex { group.truncate(from: first, &hidden) }
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
            let run = Run(sequence: sequence, first: entries[start].index, last: entries[end - 1].index)
            insertRun.bind(1, run.sequence)
            insertRun.bind(2, range.rawValue)
            insertRun.bind(3, run.first.rawValue)
            insertRun.bind(4, run.last.rawValue)
            insertRun.bind(5, buffer.bytes)
            insertRun.bind(6, Int64(run.checksum(range)))
            try insertRun.run()
            group.runs.append(run)
            sequence += 1
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
        try putGroup.run()
    }
}

extension LogWrite {
    fileprivate var isOnlyCompaction: Bool {
        !remove && reset == nil && entries.isEmpty && hardState == nil && compact != nil
    }
}

extension SQLiteLogStore.Group {
    /// Hides the entries from `index` on.
    mutating func truncate(from index: LogIndex, _ hidden: inout [ClosedRange<Int64>]) {
        while let run = runs.last, run.last >= index {
            runs.removeLast()
            if run.first < index {
                runs.append(SQLiteLogStore.Run(sequence: run.sequence, first: run.first, last: index.previous))
                break
            }
            hidden.append(run.sequence...run.sequence)
        }
        lastIndex = index.previous
    }

    /// Hides the entries up to and including `position`. A position at or below the base changes nothing.
    mutating func compact(to position: LogPosition, _ hidden: inout [ClosedRange<Int64>]) {
        guard position.index > base.index else { return }
        precondition(position.index <= lastIndex, "compaction to \(position) beyond \(lastIndex)")
        base = position
        let kept = runs.firstIndex { $0.last > position.index } ?? runs.count
        hidden += runs[..<kept].map { $0.sequence...$0.sequence }
        runs.removeFirst(kept)
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
