/// How fast a clock may run away, as nanoseconds of error for each second that it has itself measured.
///
/// HAZARD: ageing a peer's interval, and growing the kernel's error between polls, take for granted that our own
/// monotonic clock keeps this bound. Crystals do (200 µs/s is what Spanner assumes and evicts machines for). A clock
/// that is slewed by hand or by `chrony` at thousands of parts per million does not, and a virtual machine that is
/// paused by its hypervisor measures too little. Then an interval claims to know more than it does, for as long as
/// the sample lives (seconds), and our own clock's error can go unnoticed by that much.
package struct DriftBound: Hashable, Sendable {
    package let nanosecondsPerSecond: Int64

    /// 200 µs/s (Spanner §3).
    package static let standard = DriftBound(nanosecondsPerSecond: 200_000)

    /// Precondition: at least 0, and less than a second for each second.
    package init(nanosecondsPerSecond: Int64) {
        precondition((0..<1_000_000_000).contains(nanosecondsPerSecond), "drift of \(nanosecondsPerSecond) ns/s")
        self.nanosecondsPerSecond = nanosecondsPerSecond
    }

    /// The error that gathers over a time, rounded up. Precondition: the time is not negative.
    package func errorNanoseconds(over elapsedNanoseconds: Int64) -> Int64 {
        precondition(elapsedNanoseconds >= 0, "\(elapsedNanoseconds) ns have passed")
        // Whole seconds apart from the rest: the plain product overflows after half a day.
        let (seconds, rest) = elapsedNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return seconds * nanosecondsPerSecond + (rest * nanosecondsPerSecond + 999_999_999) / 1_000_000_000
    }
}
