import MeridianCore
import Synchronization

/// Applied state in memory. It loses what a disk would lose: `reopened(afterCrash:)` gives the store that a restart
/// finds, which after a crash is the one of the last checkpoint.
///
/// A lock guards the contents, because readers run beside the store.
package final class MemoryStateStore: StateStore {
    struct Contents: Sendable {
        var versions = VersionMap()
        var states: [RangeID: AppliedState] = [:]
        var outcomes: [RangeID: [RequestMemory.Outcome]] = [:]
        var books = Books()
        var reports: [DigestReport] = []
    }

    private let contents: Mutex<Contents>
    private let durable: Mutex<Contents>
    private let pendingByteCount = Atomic(0)
    private let requests: RequestMemory
    private let requestRetention: Duration

    package convenience init(requestRetention: Duration = .seconds(60)) {
        self.init(Contents(), requestRetention)
    }

    private init(_ contents: Contents, _ requestRetention: Duration) {
        self.contents = Mutex(contents)
        durable = Mutex(contents)
        self.requestRetention = requestRetention
        requests = RequestMemory(retention: requestRetention)
        for (range, outcomes) in contents.outcomes {
            requests.remember(outcomes, in: range, closed: contents.states[range]?.forgetting ?? .zero)
        }
    }

    package func reopened(afterCrash isCrash: Bool) -> MemoryStateStore {
        if !isCrash { _ = checkpoint() }
        return MemoryStateStore(durable.withLock { $0 }, requestRetention)
    }

    package func load() -> [RangeID: AppliedState] { contents.withLock { $0.states } }

    package func apply(_ batches: [ApplyBatch]) throws {
        for batch in batches {
            if let span = batch.cleared {
                try remove(batch.range, span: span)
                continue
            }
            var outcomes: [RequestMemory.Outcome] = []
            let isNew = contents.withLock { contents in
                let applied = contents.states[batch.range]?.position.index ?? .zero
                guard batch.state.position.index > applied else { return false }
                var book = contents.books[batch.range]
                for indexed in batch.commands where indexed.index > applied {
                    precondition(
                        indexed.index <= batch.state.position.index,
                        "\(batch.range): command \(indexed.index) beyond \(batch.state.position)")
                    let command = indexed.command
                    for key in command.erasedKeys {
                        for version in contents.versions.erase(key, through: command.timestamp) {
                            book.remove(RangeDigest.hash(key, version, in: batch.range), key)
                        }
                    }
                    for mutation in command.keptMutations {
                        let version = Version(timestamp: command.timestamp, value: mutation.value)
                        let replaced = contents.versions.insert(version, for: mutation.key)
                        book.add(RangeDigest.hash(mutation.key, version, in: batch.range), mutation.key)
                        guard let replaced else { continue }
                        book.remove(RangeDigest.hash(mutation.key, replaced, in: batch.range), mutation.key)
                    }
                    let applied = AppliedRequest(timestamp: command.timestamp, index: indexed.index)
                    outcomes.append(RequestMemory.Outcome(request: command.request, applied: applied))
                    pendingByteCount.add(command.byteCount, ordering: .relaxed)
                }
                contents.states[batch.range] = batch.state
                contents.books[batch.range] = book
                if batch.isCompared { contents.reports.append(contents.books.report(of: batch.range, batch.state)) }
                return true
            }
            if isNew { requests.remember(outcomes, in: batch.range, closed: batch.state.forgetting) }
        }
    }

    package func checkpoint() -> [RangeID: LogIndex] {
        var copy = contents.withLock { $0 }
        for range in copy.states.keys { copy.outcomes[range] = requests.outcomes(in: range) }
        let states = copy.states
        if !Planted.isOn(.checkpointLies) { durable.withLock { $0 = copy } }
        pendingByteCount.store(0, ordering: .relaxed)
        return states.mapValues(\.position.index)
    }

    package var pendingCheckpointByteCount: Int { pendingByteCount.load(ordering: .relaxed) }

    package func makeReader() -> any StateReader { MemoryStateReader(self) }

    package func scrub() -> Bool {
        _ = checkpoint()
        return true
    }

    package func close() {}

    /// Reads under the lock.
    func read<Result: Sendable>(_ body: (borrowing Contents) throws -> Result) rethrows -> Result {
        try contents.withLock { try body($0) }
    }

    func threshold(of range: RangeID) -> Timestamp { contents.withLock { $0.states[range]?.threshold ?? .zero } }

    /// For `SilentDamage`.
    func damageVersions(_ body: (inout VersionMap) -> Bool) -> Bool { contents.withLock { body(&$0.versions) } }

    func outcome(of request: RequestID, in range: RangeID) -> AppliedRequest? {
        requests.outcome(of: request, in: range)
    }
}

// MARK: - Garbage, removal, snapshots

extension MemoryStateStore {
    package func uncollected() -> [RangeID] { contents.withLock { $0.books.uncollected(of: $0.states) } }

    package func collectGarbage(of range: RangeID, in span: KeySpan, limit: Int) throws -> CollectionProgress {
        precondition(limit > 0, "a collection of \(limit) versions")
        return contents.withLock { contents in
            guard let round = contents.books.round(of: range, in: contents.states) else { return .nothing }
            var changed: [(Key, [Version])] = []
            var count = 0
            var next: Key?
            let rest = KeySpan(lower: round.next ?? span.lower, upper: span.upper)
            contents.versions.visit(rest) { key, chain in
                guard count < limit else {
                    next = key
                    return false
                }
                guard let seen = chain.visible(at: round.threshold) else { return true }
                let visible = Planted.isOn(.collectVisibleVersion) ? chain.count - 1 : seen
                let older = min(visible, limit - count)
                // Of most rows there is nothing to collect.
                if older == 0, visible > 0 || chain[visible].value != nil { return true }
                var kept = Array(chain[..<(visible - older)] + chain[visible...])
                count += older
                // A deletion goes only together with everything older, or an old value came back.
                let isGone = older == visible && chain[visible].value == nil
                if isGone, count < limit {
                    kept.removeFirst()
                    count += 1
                } else if isGone || older < visible {
                    next = key
                }
                if kept.count < chain.count { changed.append((key, kept)) }
                return next == nil
            }
            for (key, chain) in changed {
                let gone = contents.versions.replaceChain(of: key, by: chain)
                for version in gone { contents.books[range].remove(RangeDigest.hash(key, version, in: range), key) }
            }
            contents.books.note(round, of: range, next: next)
            return CollectionProgress(removed: count, isComplete: next == nil)
        }
    }

    package func takeReports() -> [DigestReport] {
        contents.withLock { contents in
            if contents.reports.isEmpty { return [] }
            defer { contents.reports = [] }
            return contents.reports
        }
    }

    package func inspect(_ range: RangeID, in span: KeySpan, limit: Int) -> InspectionProgress {
        precondition(limit > 0, "an inspection of \(limit) versions")
        return contents.withLock { contents in
            var inspection = contents.books[range].inspection ?? Books.Inspection()
            var count = 0
            var next: Key?
            contents.versions.visit(KeySpan(lower: inspection.next ?? span.lower, upper: span.upper)) { key, chain in
                guard count < limit else {
                    next = key
                    return false
                }
                for version in chain { inspection.found.add(RangeDigest.hash(key, version, in: range)) }
                count += chain.count
                return true
            }
            return contents.books.note(inspection, of: range, next: next)
        }
    }

    package func remove(_ range: RangeID, span: KeySpan) throws {
        contents.withLock { contents in
            contents.versions.removeAll(in: span)
            contents.states[range] = nil
            contents.books.forget(range)
        }
        requests.forget(range)
    }

    package func openSnapshot(of range: RangeID, span: KeySpan) throws -> any SnapshotReader {
        let picture = contents.withLock { $0 }
        guard let state = picture.states[range] else {
            throw MeridianError(.unavailable, "no replica of \(range) to take a snapshot of")
        }
        let source = MemoryVersionSource(versions: picture.versions, span: span)
        return ChunkedSnapshot(state: state, source: source, requests: requests.outcomes(in: range))
    }

    package func receiveSnapshot(
        of range: RangeID, span: KeySpan, state: AppliedState
    ) throws -> any SnapshotWriter {
        SnapshotReceiver(staging: MemoryStaging()) { [self] received in
            var rows: [(Key, Version)] = []
            var outcomes: [RequestMemory.Outcome] = []
            try received.decode(
                in: span,
                version: { rows.append((Key($0), Version(timestamp: $1, value: $2))) },
                outcome: { outcomes.append($0) })
            let passed: LogPosition? = contents.withLock { [rows] contents in
                if let applied = contents.states[range]?.position, state.position.isPassed(by: applied),
                    !Planted.isOn(.snapshotTakesRowsBack)
                {
                    return applied
                }
                contents.versions.removeAll(in: span)
                let count = Planted.isOn(.halfSnapshotInstalled) ? rows.count / 2 : rows.count
                var digest = RangeDigest()
                for (key, version) in rows.prefix(count) {
                    contents.versions.insert(version, for: key)
                    digest.add(RangeDigest.hash(key, version, in: range))
                }
                contents.states[range] = state
                contents.books.replace(range, by: digest)
                return nil
            }
            if let passed { return .passed(passed) }
            requests.replace(
                Planted.isOn(.snapshotForgetsRequests) ? [] : outcomes, in: range, closed: state.forgetting)
            // What a snapshot installs is durable at once.
            _ = checkpoint()
            return .installed
        }
    }
}

/// A picture of a span: a copy of the map, which shares what neither side changes.
private final class MemoryVersionSource: VersionSource {
    private let versions: VersionMap
    private let span: KeySpan

    init(versions: VersionMap, span: KeySpan) {
        self.versions = versions
        self.span = span
    }

    func versions(
        after position: VersionPosition?,
        _ visit: (UnsafeRawBufferPointer, Int64, UnsafeRawBufferPointer?, UInt32) throws -> Bool
    ) throws {
        let lower = position.map { Key($0.key) } ?? span.lower
        try versions.visit(KeySpan(lower: lower, upper: span.upper)) { key, chain in
            for version in chain.reversed() {
                if let position, position.key == key.bytes, version.timestamp.rawValue >= position.timestamp {
                    continue
                }
                let timestamp = version.timestamp.rawValue
                let checksum = VersionCoding.checksum(key.bytes, timestamp, version.value)
                let goesOn = try key.bytes.withUnsafeBytes { key in
                    guard let value = version.value else { return try visit(key, timestamp, nil, checksum) }
                    return try value.withUnsafeBytes { try visit(key, timestamp, $0, checksum) }
                }
                if !goesOn { return false }
            }
            return true
        }
    }

    func close() {}
}
