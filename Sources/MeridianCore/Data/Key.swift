/// The key of a row: bytes that sort as the rows do. `KeyEncoder` makes them.
public struct Key: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// The longest key that is accepted, in bytes (64 KiB).
    public static let maximumByteCount = 64 * 1024

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public static func < (lhs: Key, rhs: Key) -> Bool { lhs.bytes.lexicographicallyPrecedes(rhs.bytes) }

    /// The bytes at once: an array would be hashed byte by byte.
    public func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }

    /// The first key after this one.
    public var successor: Key { Key(bytes + [0]) }

    /// A key may hold personal data, so its text shows its length alone.
    public var description: String { "key(\(bytes.count) bytes)" }
}

/// The keys in `[lower, upper)`. No upper bound means all keys from `lower` on.
public struct KeySpan: Hashable, Sendable {
    public let lower: Key
    public let upper: Key?

    public init(lower: Key, upper: Key?) {
        if let upper { precondition(lower <= upper, "key span reversed") }
        self.lower = lower
        self.upper = upper
    }

    /// All keys that start with `prefix`.
    public init(prefix: [UInt8]) {
        var end = prefix
        while let last = end.last, last == 0xFF { end.removeLast() }
        if end.isEmpty {
            self.init(lower: Key(prefix), upper: nil)
        } else {
            end[end.count - 1] += 1
            self.init(lower: Key(prefix), upper: Key(end))
        }
    }

    public func contains(_ key: Key) -> Bool {
        key >= lower && upper.map { key < $0 } ?? true
    }

    public func overlaps(_ other: KeySpan) -> Bool {
        let startsBeforeOtherEnds = other.upper.map { lower < $0 } ?? true
        let otherStartsBeforeEnd = upper.map { other.lower < $0 } ?? true
        return startsBeforeOtherEnds && otherStartsBeforeEnd
    }
}
