/// A reading of a node's monotonic clock, in nanoseconds from an arbitrary start. Timeouts are measured with it;
/// it is never compared between nodes.
public struct Instant: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(nanoseconds: Int64) { self.rawValue = nanoseconds }

    public static let zero = Instant(rawValue: 0)
    public static let distantFuture = Instant(rawValue: .max)

    public func advanced(byNanoseconds nanoseconds: Int64) -> Instant {
        let (sum, overflow) = rawValue.addingReportingOverflow(nanoseconds)
        return Instant(rawValue: overflow ? (nanoseconds > 0 ? .max : .min) : sum)
    }

    /// Nanoseconds from `earlier` to this instant.
    public func nanoseconds(since earlier: Instant) -> Int64 { rawValue - earlier.rawValue }

    public static func < (lhs: Instant, rhs: Instant) -> Bool { lhs.rawValue < rhs.rawValue }
    public var description: String { "@\(rawValue)ns" }
}

/// Everything that a pure core may know about time when it is stepped.
public struct Moment: Hashable, Sendable {
    /// For timeouts.
    public var instant: Instant
    /// For timestamps and leases.
    public var clock: ClockInterval

    public init(instant: Instant, clock: ClockInterval) {
        self.instant = instant
        self.clock = clock
    }
}

extension Duration {
    /// The duration in whole nanoseconds; saturates at about 292 years.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds > 0 ? .max : .min }
        let (sum, overflowed) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflowed ? (seconds > 0 ? .max : .min) : sum
    }
}
