import MeridianCore

/// By what way something goes from one jurisdiction to another.
public enum EgressChannel: String, Hashable, Comparable, Sendable, CaseIterable, Codable {
    /// Votes, heartbeats, leases, closed timestamps: no rows.
    case consensus
    /// Log entries on their way to replicas.
    case log
    /// Snapshots on their way to replicas.
    case snapshot
    /// What a gateway asks a range of: keys, preconditions, and the rows that a client writes.
    case request
    /// What a range answers a gateway: the rows that a client read.
    case answer
    /// Values computed over many rows (`Database.aggregate`).
    case aggregate

    public static func < (lhs: EgressChannel, rhs: EgressChannel) -> Bool {
        guard let first = allCases.firstIndex(of: lhs), let second = allCases.firstIndex(of: rhs) else { return false }
        return first < second
    }
}

/// From which jurisdiction to which.
public struct EgressRoute: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var from: Jurisdiction
    public var to: Jurisdiction

    public init(from: Jurisdiction, to: Jurisdiction) {
        self.from = from
        self.to = to
    }

    public static func < (lhs: EgressRoute, rhs: EgressRoute) -> Bool { (lhs.from, lhs.to) < (rhs.from, rhs.to) }
    public var description: String { "\(from) -> \(to)" }
}

/// How much.
public struct EgressCount: Hashable, Sendable {
    public var messages: UInt64
    /// Bytes of keys and of encoded rows, without what any protocol adds. In the channel `aggregate`: of the values and
    /// the names of their groups.
    public var bytes: UInt64

    public init(messages: UInt64 = 0, bytes: UInt64 = 0) {
        self.messages = messages
        self.bytes = bytes
    }

    public static func + (lhs: EgressCount, rhs: EgressCount) -> EgressCount {
        EgressCount(messages: lhs.messages &+ rhs.messages, bytes: lhs.bytes &+ rhs.bytes)
    }
    public static func += (lhs: inout EgressCount, rhs: EgressCount) { lhs = lhs + rhs }
}
