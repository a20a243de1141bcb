import MeridianCore

/// Applying committed commands: one transaction a call, no fsync.
extension SQLiteStateStore {
    package func apply(_ batches: [ApplyBatch]) throws {
        if !isLoaded { _ = try load() }
        var changes: [Change] = []
        var sequence = nextRequestSequence
        var applied: [RangeID: LogIndex] = [:]
        try connection.transaction {
            for batch in batches {
                let index = applied[batch.range] ?? states[batch.range]?.position.index ?? .zero
                guard batch.state.position.index > index else { continue }
                applied[batch.range] = batch.state.position.index
                changes.append(try apply(batch, above: index, &sequence))
            }
        }
        nextRequestSequence = sequence
        for change in changes {
            states[change.range] = change.state
            if let row = change.row { requestRows[change.range, default: []].append(row) }
            requests.remember(change.outcomes, in: change.range, closed: change.state.closed)
        }
    }

    /// What a batch changes in memory once its transaction has been committed.
    private struct Change {
        var range: RangeID
        var state: AppliedState
        var outcomes: [RequestMemory.Outcome]
        var row: RequestRow?
    }

    private func apply(_ batch: ApplyBatch, above index: LogIndex, _ sequence: inout Int64) throws -> Change {
        var change = Change(range: batch.range, state: batch.state, outcomes: [], row: nil)
        change.outcomes.reserveCapacity(batch.commands.count)
        buffer.removeAll()
        var newest = Timestamp(rawValue: .min)
        for indexed in batch.commands where indexed.index > index {
            precondition(
                indexed.index <= batch.state.position.index,
                "\(batch.range): command \(indexed.index) beyond \(batch.state.position)")
            let command = indexed.command
            for mutation in command.mutations { try put(mutation, at: command.timestamp) }
            let outcome = RequestMemory.Outcome(
                request: command.request, applied: AppliedRequest(timestamp: command.timestamp, index: indexed.index))
            OutcomeCoding.encode(outcome, to: &buffer)
            change.outcomes.append(outcome)
            newest = max(newest, command.timestamp)
        }
        if !change.outcomes.isEmpty {
            try putRequests(of: batch.range, newest: newest, sequence: sequence)
            change.row = RequestRow(sequence: sequence, newest: newest)
            sequence += 1
        }
        try put(batch.state, of: batch.range)
        return change
    }

    private func put(_ mutation: Mutation, at timestamp: Timestamp) throws {
        try mutation.key.bytes.withUnsafeBytes { key in
            if let value = mutation.value {
                try value.withUnsafeBytes { try put(key, timestamp, $0) }
            } else {
                try put(key, timestamp, nil)
            }
        }
    }

    func put(_ key: UnsafeRawBufferPointer, _ timestamp: Timestamp, _ value: UnsafeRawBufferPointer?) throws {
        putVersion.bind(1, key)
        putVersion.bind(2, timestamp.rawValue)
        if let value { putVersion.bind(3, value) } else { putVersion.bindNull(3) }
        putVersion.bind(4, Int64(VersionCoding.checksum(key, timestamp.rawValue, value)))
        try putVersion.run()
    }

    /// Deletes the rows of requests that are all below their range's horizon.
    func deleteForgottenRequests() throws {
        var forgotten: [ClosedRange<Int64>] = []
        for (range, state) in states {
            guard let rows = requestRows[range] else { continue }
            let horizon = requests.horizon(closed: state.closed)
            let kept = rows.firstIndex { $0.newest > horizon } ?? rows.count
            forgotten += rows[..<kept].map { $0.sequence...$0.sequence }
        }
        guard !forgotten.isEmpty else { return }
        try connection.transaction {
            for interval in joined(forgotten) {
                try connection.execute(
                    "DELETE FROM requests WHERE sequence BETWEEN ? AND ?", [interval.lowerBound, interval.upperBound])
            }
        }
        for (range, state) in states {
            let horizon = requests.horizon(closed: state.closed)
            if let kept = requestRows[range]?.firstIndex(where: { $0.newest > horizon }) {
                requestRows[range]?.removeFirst(kept)
            } else {
                requestRows[range] = nil
            }
        }
    }
}
