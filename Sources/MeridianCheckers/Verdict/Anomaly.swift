/// What a checker can find. The names are those of Adya's thesis (MIT, 1999) and of Elle (Kingsbury and Alvaro, VLDB
/// 2020); docs/CHECKERS.md says what each means.
public struct AnomalyName: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }
    public static func < (one: Self, other: Self) -> Bool { one.rawValue < other.rawValue }

    // Cycles; each also as `-process` and `-realtime`.
    public static let g0 = Self(rawValue: "G0")
    public static let g1c = Self(rawValue: "G1c")
    public static let gSingle = Self(rawValue: "G-single")
    public static let gNonadjacent = Self(rawValue: "G-nonadjacent")
    public static let g2Item = Self(rawValue: "G2-item")
    public static let cyclicVersions = Self(rawValue: "cyclic-versions")

    // What is wrong without a cycle.
    public static let g1a = Self(rawValue: "G1a")
    public static let g1b = Self(rawValue: "G1b")
    public static let dirtyUpdate = Self(rawValue: "dirty-update")
    public static let duplicateElements = Self(rawValue: "duplicate-elements")
    public static let garbageRead = Self(rawValue: "garbage-read")
    public static let incompatibleOrder = Self(rawValue: "incompatible-order")
    public static let internalInconsistency = Self(rawValue: "internal")
    public static let lostUpdate = Self(rawValue: "lost-update")

    /// No order of the transactions explains them, though no cycle is certain.
    public static let nonSerializable = Self(rawValue: "non-serializable")
    public static let nonLinearizable = Self(rawValue: "non-linearizable")

    public static let moneyCreated = Self(rawValue: "money-created")
    public static let moneyLost = Self(rawValue: "money-lost")
    public static let negativeBalance = Self(rawValue: "negative-balance")
    public static let wrongAccounts = Self(rawValue: "wrong-accounts")

    public static let lostElement = Self(rawValue: "lost")
    public static let unstableElement = Self(rawValue: "unstable")
    public static let unexpectedElement = Self(rawValue: "unexpected")

    public static let longFork = Self(rawValue: "long-fork")
    public static let nonMonotonic = Self(rawValue: "non-monotonic")
    public static let causalReverse = Self(rawValue: "causal-reverse")
}

/// Something that the promised consistency forbids, with the operations that prove it.
public struct Anomaly: Sendable, Equatable {
    public let name: AnomalyName
    /// For a cycle, in its order.
    public let operations: [Witness]
    /// Why these operations cannot be, in sentences that call them T1, T2, … in the order of `operations`.
    public let explanation: [String]
}

/// An operation in an anomaly.
public struct Witness: Sendable, Equatable {
    /// `index` of the event that invoked it.
    public let index: Int
    /// `index` of the event that completed it.
    public let completionIndex: Int?
    public let process: Int
    public let outcome: Operation.Outcome
    public let region: String?
    /// What it did and saw; long lists are shortened.
    public let summary: String
}
