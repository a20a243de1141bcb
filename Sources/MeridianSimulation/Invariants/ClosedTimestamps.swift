import MeridianCore
import MeridianReplica

/// A closed timestamp is a promise that nothing is committed at or below it any more (CockroachDB, "closed
/// timestamps"; Spanner §4.1.3, safe time): along a range's log every timestamp lies above all that was closed before.
///
/// What is closed in the log is checked as the log is committed. What heartbeats and node frames close names the end of
/// its leaseholder's log: whatever is committed behind that, before or after the promise was sent, must lie above it.
/// These promises rest on leases, so they are not checked where clocks may lie.
final class ClosedTimestamps: Invariant {
    static let name = "closed timestamps are never crossed"
    static let interest: Interest = [.commits, .frames]

    private struct Range {
        var generation = Generation.first
        /// Closed by the log up to the last entry that was looked at, and by promises that ended before it.
        var closed = Timestamp.zero
        /// Promises that end at or behind that entry.
        var promises: [ClosedTimestamp] = []
        /// Commands in the order of the log.
        var commands: [(index: LogIndex, timestamp: Timestamp)] = []
    }

    private struct Pair: Hashable {
        var from: NodeID
        var to: NodeID
    }

    private let checksPromises: Bool
    private var ranges: [RangeID: Range] = [:]
    private var quietLists: [Pair: [QuietRanges.Range]] = [:]

    init(checksPromises: Bool) { self.checksPromises = checksPromises }

    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? {
        for (id, _, indexes) in ledger.news {
            var range = ranges.removeValue(forKey: id) ?? Range()
            defer { ranges[id] = range }
            for index in indexes {
                guard let entry = ledger.entry(id, LogIndex(index)), let timestamp = entry.timestamp
                else { continue }
                if entry.term.generation > range.generation {
                    // A history that goes on from a fork knows nothing of what was promised behind it.
                    range = Range(generation: entry.term.generation)
                }
                for promise in range.promises where promise.position.index.rawValue < index {
                    range.closed = max(range.closed, promise.timestamp)
                }
                range.promises.removeAll { $0.position.index.rawValue < index }
                if timestamp <= range.closed {
                    return "\(id): i\(index) commits at \(timestamp.rawValue), but \(range.closed.rawValue) was closed"
                }
                range.closed = max(range.closed, entry.closed ?? timestamp)
                range.commands.append((LogIndex(index), timestamp))
            }
        }
        return nil
    }

    func sent(_ frame: NodeFrame) -> String? {
        guard checksPromises else { return nil }
        for message in frame.messages {
            switch message {
            case .closed(let range, let promise):
                if let text = take(promise, of: range, from: frame.from) { return text }
            case .quiet(let quiet):
                let pair = Pair(from: frame.from, to: frame.to)
                if let ranges = quiet.ranges { quietLists[pair] = ranges }
                for range in quietLists[pair] ?? [] where !quiet.unclosed.contains(range.range) {
                    let promise = ClosedTimestamp(timestamp: quiet.closed, position: range.position)
                    if let text = take(promise, of: range.range, from: frame.from) { return text }
                }
            case .raft, .quietReply, .request, .reply, .snapshotChunk, .snapshotReply, .wound,
                .digest, .diverged:
                break
            }
        }
        return nil
    }

    private func take(_ promise: ClosedTimestamp, of id: RangeID, from node: NodeID) -> String? {
        guard promise.position.term.generation == ranges[id]?.generation ?? .first else { return nil }
        let commands = ranges[id]?.commands ?? []
        let behind = commands.reversed().prefix { $0.index > promise.position.index }
            .min { $0.timestamp < $1.timestamp }
        if let behind, behind.timestamp <= promise.timestamp {
            return "\(id): \(node) closes \(promise.timestamp.rawValue) behind \(promise.position), but "
                + "\(behind.index) committed at \(behind.timestamp.rawValue)"
        }
        var range = ranges.removeValue(forKey: id) ?? Range()
        let isKnown = range.promises.contains {
            $0.timestamp >= promise.timestamp && $0.position.index <= promise.position.index
        }
        if !isKnown, promise.timestamp > range.closed {
            range.promises.removeAll {
                $0.timestamp <= promise.timestamp && $0.position.index >= promise.position.index
            }
            range.promises.append(promise)
        }
        ranges[id] = range
        return nil
    }
}
