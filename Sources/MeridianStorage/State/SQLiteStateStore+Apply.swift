import MeridianCore
import Synchronization

/// Applying committed commands, which happens in memory, and writing them to the file.
extension SQLiteStateStore {
    package func apply(_ batches: [ApplyBatch]) throws {
        try loadIfNeeded()
        var byteCount = 0
        for batch in batches {
            if let span = batch.cleared {
                try remove(batch.range, span: span)
                continue
            }
            let (outcomes, erases) = try recent.withLock { recent in
                if let failure = recent.failure { throw failure }
                let outcomes = recent.apply(batch)
                byteCount = recent.byteCount
                return (outcomes, !recent.erased.isEmpty)
            }
            if let outcomes { requests.remember(outcomes, in: batch.range, closed: batch.state.forgetting) }
            // What was erased must be seen nowhere from now on, and readers look into the file.
            if erases { _ = try file.withLock { try flush($0) } }
            // Now the digest is of what is left. A batch that was passed over is of a time that has gone.
            if batch.isCompared, outcomes != nil {
                recent.withLock { $0.reports.append($0.books.report(of: batch.range, batch.state)) }
            }
        }
        // An owner that never checkpoints must not fill the memory. Nothing is synced here.
        if byteCount > options.maximumRecentByteCount { _ = try file.withLock { try flush($0) } }
    }

    package func takeReports() -> [DigestReport] {
        recent.withLock { recent in
            if recent.reports.isEmpty { return [] }
            defer { recent.reports = [] }
            return recent.reports
        }
    }

    /// Writes everything recent to the file, in one transaction. If that fails, it stays recent.
    /// - Returns: how far the ranges have been applied in the file now.
    @discardableResult
    func flush(_ file: StateFile) throws -> [RangeID: LogIndex] {
        let (taken, states) = recent.withLock { $0.take() }
        let applied = states.mapValues(\.position.index)
        guard !taken.changed.isEmpty else { return applied }
        var rows: [(RangeID, StateFile.RequestRow)] = []
        var erased: [StateFile.Erased] = []
        do {
            try noteFailure(file) {
                try file.connection.transaction { (rows, erased) = try file.write(taken, states) }
            }
        } catch {
            recent.withLock { $0.putBack(taken) }
            throw error
        }
        recent.withLock { [erased] recent in
            recent.flushing = nil
            for version in erased { recent.books[version.range].remove(version.hash, version.key) }
        }
        file.nextRequestSequence += Int64(rows.count)
        for (range, row) in rows { file.requestRows[range, default: []].append(row) }
        return applied
    }

    /// Deletes the rows of requests that are all below their range's horizon.
    func deleteForgottenRequests(_ file: StateFile) throws {
        let states = recent.withLock { $0.states }
        var kept = file.requestRows
        var forgotten: [ClosedRange<Int64>] = []
        for (range, rows) in file.requestRows {
            guard let state = states[range] else { continue }
            let horizon = requests.horizon(closed: state.forgetting)
            let count = rows.firstIndex { $0.newest > horizon } ?? rows.count
            forgotten += rows[..<count].map { $0.sequence...$0.sequence }
            kept[range]!.removeFirst(count)
        }
        guard !forgotten.isEmpty else { return }
        try noteFailure(file) {
            try file.connection.transaction {
                for interval in joined(forgotten) {
                    try file.connection.execute(
                        "DELETE FROM requests WHERE sequence BETWEEN ? AND ?",
                        [interval.lowerBound, interval.upperBound])
                }
            }
        }
        file.requestRows = kept
    }
}

/// What a flush takes.
struct TakenState: Sendable {
    var changed: Set<RangeID>
    var versions: VersionMap
    var outcomes: [RangeID: [RequestMemory.Outcome]]
    var byteCount: Int
    var erased: [Key: RecentState.Erasure]
    /// Of the ranges that have changed, as of now: what the erased rows were of them is still in it.
    var digests: [RangeID: RangeDigest]
}

extension RecentState.Contents {
    /// - Returns: the requests that it applied, or `nil` if all of it had been applied before.
    mutating func apply(_ batch: ApplyBatch) -> [RequestMemory.Outcome]? {
        let applied = states[batch.range]?.position.index ?? .zero
        guard batch.state.position.index > applied else { return nil }
        var outcomes: [RequestMemory.Outcome] = []
        outcomes.reserveCapacity(batch.commands.count)
        var book = books[batch.range]
        for indexed in batch.commands where indexed.index > applied {
            precondition(
                indexed.index <= batch.state.position.index,
                "\(batch.range): command \(indexed.index) beyond \(batch.state.position)")
            let command = indexed.command
            for key in command.erasedKeys {
                for version in versions.erase(key, through: command.timestamp) {
                    book.remove(RangeDigest.hash(key, version, in: batch.range), key)
                }
                erased[key] = RecentState.Erasure(range: batch.range, through: command.timestamp)
            }
            for mutation in command.keptMutations {
                let version = Version(timestamp: command.timestamp, value: mutation.value)
                let replaced = versions.insert(version, for: mutation.key)
                book.add(RangeDigest.hash(mutation.key, version, in: batch.range), mutation.key)
                guard let replaced else { continue }
                book.remove(RangeDigest.hash(mutation.key, replaced, in: batch.range), mutation.key)
            }
            byteCount += command.byteCount
            outcomes.append(
                RequestMemory.Outcome(
                    request: command.request,
                    applied: AppliedRequest(timestamp: command.timestamp, index: indexed.index)))
        }
        states[batch.range] = batch.state
        books[batch.range] = book
        changed.insert(batch.range)
        if !outcomes.isEmpty { self.outcomes[batch.range, default: []] += outcomes }
        return outcomes
    }

    /// Hands everything recent to a flush; readers go on to find it in `flushing`.
    fileprivate mutating func take() -> (TakenState, [RangeID: AppliedState]) {
        precondition(flushing == nil, "two flushes at once")
        var taken = TakenState(
            changed: changed, versions: versions, outcomes: outcomes, byteCount: byteCount, erased: erased,
            digests: [:])
        for range in changed { taken.digests[range] = books[range].digest }
        erased = [:]
        if !changed.isEmpty { flushing = versions }
        versions = VersionMap()
        changed = []
        outcomes = [:]
        byteCount = 0
        return (taken, states)
    }

    /// Takes back what a flush could not write, under what was applied since.
    fileprivate mutating func putBack(_ taken: TakenState) {
        var merged = taken.versions
        versions.visit(KeySpan(lower: Key([]), upper: nil)) { key, chain in
            for version in chain { merged.insert(version, for: key) }
            return true
        }
        versions = merged
        flushing = nil
        changed.formUnion(taken.changed)
        outcomes = taken.outcomes.merging(outcomes) { $0 + $1 }
        byteCount += taken.byteCount
        erased = taken.erased.merging(erased) { $0.through > $1.through ? $0 : $1 }
    }
}

extension StateFile {
    /// A version that has gone with an erasure.
    struct Erased: Sendable {
        var range: RangeID
        var key: Key
        var hash: UInt64
    }

    /// Writes what a flush took, inside a transaction.
    fileprivate func write(
        _ taken: TakenState, _ states: [RangeID: AppliedState]
    ) throws -> ([(RangeID, RequestRow)], [Erased]) {
        var digests = taken.digests
        var gone: [Erased] = []
        for (key, erasure) in taken.erased.sorted(by: { $0.key < $1.key }) {
            for hash in try erase(key, erasure) {
                digests[erasure.range]?.remove(hash)
                gone.append(Erased(range: erasure.range, key: key, hash: hash))
            }
        }
        try taken.versions.visit(KeySpan(lower: Key([]), upper: nil)) { key, chain in
            for version in chain {
                try key.bytes.withUnsafeBytes { key in
                    guard let value = version.value else { return try put(key, version.timestamp, nil) }
                    try value.withUnsafeBytes { try put(key, version.timestamp, $0) }
                }
            }
            return true
        }
        var rows: [(RangeID, RequestRow)] = []
        for range in taken.changed.sorted() {
            if let state = states[range] { try put(state, digests[range], of: range) }
            guard let outcomes = taken.outcomes[range] else { continue }
            let sequence = nextRequestSequence + Int64(rows.count)
            rows.append((range, try put(outcomes, of: range, sequence: sequence)))
        }
        return (rows, gone)
    }

    /// Removes a key's versions.
    /// - Returns: their hashes.
    private func erase(_ key: Key, _ erasure: RecentState.Erasure) throws -> [UInt64] {
        try key.bytes.withUnsafeBytes { bytes in
            var hashes: [UInt64] = []
            readVersions.bind(1, bytes)
            readVersions.bind(2, erasure.through.rawValue)
            do {
                defer { readVersions.reset() }
                while try readVersions.step() { hashes.append(readVersions.hash(of: bytes, 0, 1, in: erasure.range)) }
            }
            try forgetChanges(bytes, through: erasure.through)
            eraseVersions.bind(1, bytes)
            eraseVersions.bind(2, erasure.through.rawValue)
            try eraseVersions.run()
            return hashes
        }
    }

    func put(_ key: UnsafeRawBufferPointer, _ timestamp: Timestamp, _ value: UnsafeRawBufferPointer?) throws {
        putVersion.bind(1, key)
        putVersion.bind(2, timestamp.rawValue)
        if let value { putVersion.bind(3, value) } else { putVersion.bindNull(3) }
        putVersion.bind(4, Int64(VersionCoding.checksum(key, timestamp.rawValue, value)))
        try putVersion.run()
        try noteChange(key, timestamp.rawValue)
    }
}

extension SQLiteStatement {
    /// Of the version in the current row, as the digest counts it.
    func hash(of key: UnsafeRawBufferPointer, _ timestamp: Int32, _ value: Int32, in range: RangeID) -> UInt64 {
        RangeDigest.hash(key, integer(timestamp), isNull(value) ? nil : blob(value), in: range)
    }
}
