/// Distinct types for distinct numbers: a term cannot be passed where an index is meant.

/// One node of the cluster: a process with its own log and state files. Assigned in the order of the topology, from 1.
public struct NodeID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    public static func < (lhs: NodeID, rhs: NodeID) -> Bool { lhs.rawValue < rhs.rawValue }
    public var description: String { "n\(rawValue)" }
}

/// One range: a span of keys that one Raft group replicates.
public struct RangeID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (lhs: RangeID, rhs: RangeID) -> Bool { lhs.rawValue < rhs.rawValue }
    public var description: String { "r\(rawValue)" }
}

/// A Raft term (Raft §5.1): at most one leader each. Zero means that no election has been seen.
public struct Term: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let zero = Term(0)
    public var next: Term { Term(rawValue + 1) }
    public static func < (lhs: Term, rhs: Term) -> Bool { lhs.rawValue < rhs.rawValue }
    public var description: String { "t\(rawValue)" }
}

/// A position in a Raft log. The first entry has index 1; zero is the position before it.
public struct LogIndex: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let zero = LogIndex(0)
    public var next: LogIndex { LogIndex(rawValue + 1) }

    /// The position before this one. Precondition: the index is not zero.
    public var previous: LogIndex {
        precondition(rawValue > 0, "no log index before zero")
        return LogIndex(rawValue - 1)
    }

    public static func < (lhs: LogIndex, rhs: LogIndex) -> Bool { lhs.rawValue < rhs.rawValue }
    public var description: String { "i\(rawValue)" }
}

/// One life of a replica: what it did between two losses of its disk. Zero is the life of a replica that never lost
/// it; every loss begins a life with a number drawn at random, so that two lives of a node are never taken for one.
package struct Incarnation: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Draws the life that begins after a loss. It fits a signed number of 64 bits, as SQLite has them.
    package init(using generator: inout some RandomNumberGenerator) {
        self.init(rawValue: (generator.next() >> 1) | 1)
    }

    package static let first = Incarnation(0)
    /// The life after this one, of a replica that remembers this one.
    package var next: Incarnation { Incarnation(rawValue & (.max >> 1) == .max >> 1 ? 1 : rawValue + 1) }
    package var description: String { self == .first ? "first life" : "life \(rawValue)" }
}

/// A client-made 128-bit name for one commit, which makes asking again idempotent.
public struct RequestID: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }

    public var description: String { hexadecimal(high) + hexadecimal(low) }

    private func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
