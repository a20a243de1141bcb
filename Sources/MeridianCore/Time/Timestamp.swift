/// A point in time as transactions see it: nanoseconds since the Unix epoch.
///
/// Timestamps order commits. They come from a clock's interval (`ClockInterval`), never from a bare clock reading.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(nanoseconds: Int64) { self.rawValue = nanoseconds }

    public static let zero = Timestamp(rawValue: 0)
    public static let distantFuture = Timestamp(rawValue: .max)

    /// The earliest timestamp after this one; saturates at the distant future.
    public var next: Timestamp { Timestamp(rawValue: rawValue == .max ? .max : rawValue + 1) }

    /// This timestamp moved by a number of nanoseconds; saturates instead of overflowing.
    public func advanced(byNanoseconds nanoseconds: Int64) -> Timestamp {
        let (sum, overflow) = rawValue.addingReportingOverflow(nanoseconds)
        if overflow { return Timestamp(rawValue: nanoseconds > 0 ? .max : .min) }
        return Timestamp(rawValue: sum)
    }

    public static func < (lhs: Timestamp, rhs: Timestamp) -> Bool { lhs.rawValue < rhs.rawValue }
    public var description: String { "\(rawValue)ns" }
}
