import MeridianCore
import Synchronization

/// What has been applied and is not in the file yet.
///
/// Applying touches nothing but memory. A checkpoint takes everything that is here and writes it to the file in one
/// transaction, sorted by key, so that a page is written once for all the commits that changed it and not once for
/// each. The log replays what a crash takes from here.
///
/// Shared by the store, a checkpoint that may run beside it, and the readers; a lock guards it. A reader looks here
/// first and into the file afterwards: what is no longer here by then is there.
final class RecentState: Sendable {
    struct Erasure: Hashable, Sendable {
        var range: RangeID
        var through: Timestamp
    }

    struct Contents: Sendable {
        /// How far each range has been applied, wherever its rows are.
        var states: [RangeID: AppliedState] = [:]
        /// What the ranges' versions add up to, wherever they are.
        var books = Books()
        var reports: [DigestReport] = []
        /// The thresholds of snapshots that are being installed: their rows may be there, and their states not yet.
        var arriving: [RangeID: Timestamp] = [:]
        /// Ranges whose state is not in the file.
        var changed: Set<RangeID> = []
        var versions = VersionMap()
        var outcomes: [RangeID: [RequestMemory.Outcome]] = [:]
        var byteCount = 0
        /// Keys whose versions at or below a timestamp must go from the file, too.
        var erased: [Key: Erasure] = [:]
        /// Versions that are being written at this moment.
        var flushing: VersionMap?
        /// Why nothing is applied any more.
        var failure: MeridianError?
        var isLoaded = false

        fileprivate func version(of key: Key, at timestamp: Timestamp) -> Version? {
            let fresh = versions.version(of: key, at: timestamp)
            guard let flushing = flushing?.version(of: key, at: timestamp) else { return fresh }
            guard let fresh else { return flushing }
            return fresh.timestamp >= flushing.timestamp ? fresh : flushing
        }
    }

    private let contents = Mutex(Contents())

    func withLock<Result>(_ body: (inout sending Contents) throws -> sending Result) rethrows -> sending Result {
        try contents.withLock(body)
    }

    /// The newest version at or below `timestamp`.
    func version(of key: Key, at timestamp: Timestamp) -> Version? {
        contents.withLock { $0.version(of: key, at: timestamp) }
    }

    func versions(of keys: [Key], at timestamp: Timestamp) -> [Version?] {
        contents.withLock { contents in keys.map { contents.version(of: $0, at: timestamp) } }
    }

    /// Below it, versions of a range may be gone.
    func threshold(of range: RangeID) -> Timestamp {
        contents.withLock { max($0.states[range]?.threshold ?? .zero, $0.arriving[range] ?? .zero) }
    }

    func latestTimestamp(in span: KeySpan) -> Timestamp? {
        contents.withLock { contents in
            let fresh = contents.versions.latestTimestamp(in: span)
            guard let flushing = contents.flushing?.latestTimestamp(in: span) else { return fresh }
            return fresh.map { max($0, flushing) } ?? flushing
        }
    }

    /// The newest version at or below `timestamp` of each key of a span, deletions included.
    func newest(in span: KeySpan, at timestamp: Timestamp) -> [Key: Version] {
        var rows = rows(in: span, at: timestamp)
        var newest: [Key: Version] = [:]
        while let row = rows.next {
            newest[row.key] = row.version
            rows.advance()
        }
        return newest
    }

    /// The rows of a span as of `timestamp`, deletions included, to be merged with those in the file.
    func rows(in span: KeySpan, at timestamp: Timestamp) -> RecentRows {
        contents.withLock { contents in
            var cursors = [VersionMap.Cursor(contents.versions, span)]
            if let flushing = contents.flushing { cursors.append(VersionMap.Cursor(flushing, span)) }
            return RecentRows(cursors: cursors, timestamp: timestamp)
        }
    }
}

/// Rows in key order, from the maps of recent versions as they were when the scan began.
struct RecentRows {
    private var cursors: [VersionMap.Cursor]
    private let timestamp: Timestamp
    /// The next row.
    private(set) var next: KeyedVersion?

    init(cursors: [VersionMap.Cursor], timestamp: Timestamp) {
        self.cursors = cursors
        self.timestamp = timestamp
        advance()
    }

    mutating func advance() {
        next = nil
        while next == nil {
            guard let key = cursors.compactMap({ $0.current?.key }).min() else { return }
            for position in cursors.indices {
                guard let (found, chain) = cursors[position].current, found == key else { continue }
                cursors[position].advance()
                guard let slot = chain.visible(at: timestamp) else { continue }
                if let other = next, other.version.timestamp > chain[slot].timestamp { continue }
                next = KeyedVersion(key: key, version: chain[slot])
            }
        }
    }
}
