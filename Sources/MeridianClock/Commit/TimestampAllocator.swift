import MeridianCore

/// Picks commit timestamps for one range (DESIGN §5): `t` = max(`latest`, last assigned + 1, highest read + 1,
/// closed + 1, floor + 1).
///
/// - At or above `latest`: the true time has not passed `t` yet, so whoever commits after us, anywhere, waits and picks
///   a greater one (Spanner §4.1.2, start rule).
/// - Above every timestamp assigned: commits of this range alone have rising timestamps along the log. (A transaction
///   of several ranges brings its own, which was above the bound when it was prepared.)
/// - Above every read served: what a reader has seen does not change behind it.
/// - Above everything closed: what was promised to followers as complete is complete.
/// - Above the floor: what an earlier leaseholder can have assigned or served.
///
/// Promises: timestamps strictly increase over the life of the value; none is given under an unknown clock.
///
/// HAZARD: with a clock that lies, timestamps still increase and reads still hold in this range. What is lost is the
/// order against commits of other ranges that no transaction connects.
package struct TimestampAllocator: Hashable, Sendable {
    /// No timestamp at or below this one will be given: the greatest of all the bounds but the clock.
    package private(set) var bound: Timestamp
    /// The last timestamp given, `nil` before the first.
    package private(set) var lastAssigned: Timestamp?

    /// - Parameter floor: the greatest timestamp that an earlier leaseholder can have used.
    package init(floor: Timestamp = .zero) { self.bound = floor }

    /// The next commit's timestamp; `nil` when the clock is unknown or the timestamps are used up.
    package mutating func assign(at clock: ClockInterval) -> Timestamp? {
        guard clock.isKnown else { return nil }
        let timestamp = max(clock.latest, Planted.isOn(.timestampsTie) ? bound : bound.next)
        guard timestamp < .distantFuture else { return nil }
        precondition(timestamp > bound || Planted.isOn(.timestampsTie), "\(timestamp) at or below \(bound)")
        bound = timestamp
        lastAssigned = timestamp
        return timestamp
    }

    /// A read was served at this timestamp.
    package mutating func observeRead(_ timestamp: Timestamp) { raise(to: timestamp) }

    /// Followers were promised that nothing more commits at or below this timestamp. It may lie in the future.
    package mutating func close(_ timestamp: Timestamp) { raise(to: timestamp) }

    /// An earlier leaseholder, or a transaction of several ranges, can have used timestamps up to this one.
    package mutating func raiseFloor(_ timestamp: Timestamp) { raise(to: timestamp) }

    private mutating func raise(to timestamp: Timestamp) { bound = max(bound, timestamp) }
}
