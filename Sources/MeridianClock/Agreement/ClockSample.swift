import MeridianCore

/// An interval that held the true time at one instant of our own monotonic clock, to be aged to later instants.
package struct ClockSample: Hashable, Sendable {
    package let interval: ClockInterval
    package let instant: Instant

    package init(interval: ClockInterval, instant: Instant) {
        self.interval = interval
        self.instant = instant
    }

    /// What a message says about the true time at its receipt.
    ///
    /// The sender knew the true time to lie in `[earliest, latest]` when it sent. The message then travelled between 0
    /// and `maximumDelayNanoseconds`, so at receipt the true time lies in `[earliest, latest + maximumDelay]`: the
    /// lower bound is certain whatever the network does, the upper one is worth as much as the bound on the delay.
    package init(received interval: ClockInterval, maximumDelayNanoseconds: Int64, at instant: Instant) {
        precondition(maximumDelayNanoseconds >= 0, "a delay of \(maximumDelayNanoseconds) ns")
        self.init(
            interval: ClockInterval(
                earliest: interval.earliest,
                latest: interval.latest.advanced(byNanoseconds: maximumDelayNanoseconds)),
            instant: instant)
    }

    /// What the sample says about the true time at a later instant: moved by the time that passed, and wider by what
    /// our clock can have mismeasured. Precondition: `instant` is not earlier than the sample's own.
    package func aged(to instant: Instant, drift: DriftBound) -> ClockInterval {
        let elapsed = instant.nanoseconds(since: self.instant)
        let error = drift.errorNanoseconds(over: elapsed)
        return ClockInterval(
            earliest: interval.earliest.advanced(byNanoseconds: elapsed - error),
            latest: interval.latest.advanced(byNanoseconds: elapsed + error))
    }
}
