import MeridianCore

/// What a replica has promised to leaders: to help elect nobody before its clock is past a certain time
/// (DESIGN §5; the idea is Gray and Cheriton's leases, 1989, with TrueTime intervals in place of bounded drift).
///
/// Promises: while `isActive`, this replica grants no vote and does not campaign, except where the leader itself
/// asked for the election (transfer). The farthest promise counts; nothing takes one back, not even a new term.
///
/// It is not written to disk. A restarted replica assumes that it promised as much as it ever may: `maximum` beyond
/// the latest that its clock can be.
///
/// HAZARD: the argument stands on the true time lying inside the clock's interval, at this replica when it promises
/// and when it votes, and at the leader when it reads. While the clock knows nothing, the promise cannot be compared
/// with it; then it ends after twice `maximum` on the monotonic clock, which is safe while that clock does not run
/// at double speed. Without this, a majority of bad clocks would stop all elections for good.
package struct LeasePromise: Hashable, Sendable {
    package private(set) var maximumNanoseconds: Int64
    /// No vote until `earliest` is past this.
    package private(set) var until: Timestamp?
    /// A restart's promise, made when the clock knew nothing: counted from when it does.
    private var isUnresolved = false
    /// When the promise was last extended.
    private var madeAt: Instant = .zero

    package init(maximumNanoseconds: Int64) {
        precondition(maximumNanoseconds >= 0, "a promise of \(maximumNanoseconds) ns")
        self.maximumNanoseconds = maximumNanoseconds
    }

    /// Lets longer promises be made from now on.
    package mutating func raiseMaximum(to nanoseconds: Int64) {
        maximumNanoseconds = max(maximumNanoseconds, nanoseconds)
    }

    /// Keeps every promise that can have been made before a restart.
    /// - Parameter earlier: how far ahead an earlier configuration may have promised, if that was more.
    package mutating func restart(at now: Moment, covering earlier: Int64 = 0) {
        raiseMaximum(to: earlier)
        guard maximumNanoseconds > 0 else { return }
        isUnresolved = true
        madeAt = now.instant
        resolve(at: now)
    }

    /// To be called whenever time is known; it costs a comparison.
    package mutating func resolve(at now: Moment) {
        guard isUnresolved, now.clock.isKnown else { return }
        isUnresolved = false
        extend(to: now.clock.latest.advanced(byNanoseconds: maximumNanoseconds))
    }

    /// Promises until `lease` if it is not too far ahead of this clock.
    /// - Returns: whether the promise was made.
    package mutating func accept(_ lease: Timestamp, at now: Moment) -> Bool {
        guard maximumNanoseconds > 0, now.clock.isKnown else { return false }
        guard lease <= now.clock.earliest.advanced(byNanoseconds: maximumNanoseconds) else { return false }
        madeAt = now.instant
        extend(to: lease)
        return true
    }

    private mutating func extend(to time: Timestamp) {
        until = max(until ?? time, time)
    }

    package func isActive(at now: Moment) -> Bool {
        guard until != nil || isUnresolved else { return false }
        guard now.clock.isKnown else {
            return now.instant.nanoseconds(since: madeAt) <= 2 * maximumNanoseconds
        }
        guard !isUnresolved, let until else { return true }
        return now.clock.earliest <= until
    }

    /// About how long the promise still holds; 0 when it does not. A guess for timers, not for safety.
    package func remainingNanoseconds(at now: Moment) -> Int64 {
        guard isActive(at: now) else { return 0 }
        guard now.clock.isKnown, let until else {
            return max(1, 2 * maximumNanoseconds - now.instant.nanoseconds(since: madeAt) + 1)
        }
        let (difference, overflow) = until.rawValue.subtractingReportingOverflow(now.clock.earliest.rawValue)
        // Others may be as far behind as this clock can be off: one width more, and they are free as well.
        return overflow
            ? maximumNanoseconds : max(1, difference + 1 + min(now.clock.widthNanoseconds, maximumNanoseconds))
    }
}
