/// What a clock that knows its own error says: the true time lies in `[earliest, latest]` (TrueTime, Spanner §3).
///
/// HAZARD: external consistency and leases hold exactly as long as the true time does lie inside. A clock that lies
/// beyond its bound is found by its peers (`MeridianClock`), not by itself.
public struct ClockInterval: Hashable, Sendable, CustomStringConvertible {
    public let earliest: Timestamp
    public let latest: Timestamp

    /// Precondition: `earliest <= latest`.
    public init(earliest: Timestamp, latest: Timestamp) {
        precondition(earliest <= latest, "clock interval reversed: \(earliest) > \(latest)")
        self.earliest = earliest
        self.latest = latest
    }

    /// An interval of `errorNanoseconds` (at least 0) to either side of a reading.
    public init(reading: Timestamp, errorNanoseconds: Int64) {
        precondition(errorNanoseconds >= 0, "negative clock error: \(errorNanoseconds) ns")
        self.init(
            earliest: reading.advanced(byNanoseconds: -errorNanoseconds),
            latest: reading.advanced(byNanoseconds: errorNanoseconds))
    }

    /// The interval of a clock that knows nothing. No lease is valid under it and no commit wait ends.
    public static let unknown = ClockInterval(earliest: Timestamp(rawValue: .min), latest: .distantFuture)

    public var isKnown: Bool { self != .unknown }

    /// Twice ε, in nanoseconds; `Int64.max` when the width does not fit.
    public var widthNanoseconds: Int64 {
        let (width, overflow) = latest.rawValue.subtractingReportingOverflow(earliest.rawValue)
        return overflow ? .max : width
    }

    public var description: String { "[\(earliest.rawValue), \(latest.rawValue)]" }
}
