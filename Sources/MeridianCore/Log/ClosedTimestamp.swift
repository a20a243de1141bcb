/// A leaseholder's promise: no command behind `position` in the range's log has a timestamp at or below `timestamp`.
///
/// Whoever has applied the log up to `position` therefore has, as of `timestamp` and of every earlier one, all rows
/// that there will ever be (CockroachDB, closed timestamps; Spanner §4.1.3, safe time). The promise outlives its
/// leader: see `MeridianReplica/Replica+Closing.swift` for the argument. A timestamp without its position promises
/// nothing.
package struct ClosedTimestamp: Hashable, Sendable {
    package var timestamp: Timestamp
    package var position: LogPosition

    package init(timestamp: Timestamp, position: LogPosition) {
        self.timestamp = timestamp
        self.position = position
    }
}
