import HeapModule
import MeridianCore

/// The commits that wait until their timestamp has certainly passed (Spanner §4.1.2, commit wait), in any number.
///
/// A commit may be acknowledged, and its locks released, when `earliest > t`. The wait starts when the timestamp is
/// picked and overlaps with replication; what is inserted after its time has passed is ready at once.
///
/// Promises: a token is handed out once, never before its timestamp has passed on the given clock, in the order of
/// timestamps and among equals in the order of insertion. Logarithmic in the number that waits.
///
/// HAZARD: `earliest` may stand still or go back (an outvoted node goes by others' clocks, an unknown one knows
/// nothing). Then commits wait longer; none is let go early.
package struct CommitWait: Sendable {
    /// The owner's name for a commit.
    package typealias Token = UInt64

    private struct Waiting: Comparable, Sendable {
        var timestamp: Timestamp
        var order: UInt64
        var token: Token

        static func < (lhs: Waiting, rhs: Waiting) -> Bool { (lhs.timestamp, lhs.order) < (rhs.timestamp, rhs.order) }
        static func == (lhs: Waiting, rhs: Waiting) -> Bool { lhs.order == rhs.order }
    }

    private var waiting = Heap<Waiting>()
    private var inserted: UInt64 = 0

    /// The last prediction was made by this.
    private var lastLook: Moment?

    /// How soon to look again while the clock is unknown.
    package static var retryNanoseconds: Int64 { 10_000_000 }
    /// How soon to look again at a clock that stands still: it makes every prediction wrong.
    package static var stuckNanoseconds: Int64 { 100_000 }

    package init() {}

    package var count: Int { waiting.count }
    package var isEmpty: Bool { waiting.isEmpty }

    package mutating func insert(_ timestamp: Timestamp, _ token: Token) {
        waiting.insert(Waiting(timestamp: timestamp, order: inserted, token: token))
        inserted += 1
    }

    /// Removes and returns the tokens whose timestamps have passed for certain.
    package mutating func ready(at clock: ClockInterval) -> [Token] {
        var tokens: [Token] = []
        let past = Planted.isOn(.commitWaitHalved) ? clock.latest : clock.earliest
        while let first = waiting.min, first.timestamp < past {
            tokens.append(first.token)
            waiting.removeMin()
        }
        return tokens
    }

    /// Removes and returns every token in order, passed or not: the range lost its lease or shuts down.
    package mutating func removeAll() -> [Token] {
        var tokens: [Token] = []
        while let first = waiting.popMin() { tokens.append(first.token) }
        return tokens
    }

    /// When to ask again: when `earliest` will have passed the first timestamp if it moves as fast as the monotonic
    /// clock. It is a prediction; at that instant `ready` may still be empty and a new prediction is due. While the
    /// clock is unknown or has not moved since the last time, a short while from now. `nil` when nothing waits.
    package mutating func nextDeadline(at now: Moment) -> Instant? {
        guard let first = waiting.min else { return nil }
        let isStuck = lastLook.map { $0.instant < now.instant && $0.clock.earliest >= now.clock.earliest } ?? false
        lastLook = now
        guard now.clock.isKnown else { return now.instant.advanced(byNanoseconds: Self.retryNanoseconds) }
        guard first.timestamp >= now.clock.earliest else { return now.instant }
        let (wait, overflow) = first.timestamp.rawValue.subtractingReportingOverflow(now.clock.earliest.rawValue)
        let soonest = isStuck ? Self.stuckNanoseconds : 1
        return now.instant.advanced(byNanoseconds: overflow || wait == .max ? .max : max(soonest, wait + 1))
    }
}
