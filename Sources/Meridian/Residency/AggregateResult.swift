import MeridianCore
import MeridianPlacement

/// What an aggregate over many regions came to.
public struct AggregateResult: Sendable, Hashable {
    public struct Group: Sendable, Hashable {
        /// What the rows have in common; `nil` where rows were not grouped.
        public var name: String?
        /// The values, in the order in which they were asked for.
        public var values: [AggregateValue]
    }

    /// By name.
    public var groups: [Group]
    /// All rows are seen as of this moment.
    public var timestamp: Timestamp
    /// The home regions that did not answer, sorted by name; empty when the result is whole.
    public var missing: [Region]
    /// Below how many persons each other jurisdiction keeps groups and values to itself. It says what its rule is,
    /// never whether something was withheld: that would tell of a person, too.
    public var withheldGroups: [Jurisdiction: Int]

    public var isComplete: Bool { missing.isEmpty }

    /// The one group of rows that were not grouped, or the group of a name.
    public subscript(name: String?) -> Group? { groups.first { $0.name == name } }
}

/// One value of a group.
public enum AggregateValue: Sendable, Hashable {
    /// No row had a number.
    case none
    case number(Double)
    /// Rows in each bucket; `nil` where a jurisdiction withheld a bucket.
    case buckets([Int?])
    /// A jurisdiction has kept its part to itself: too few persons have such a number, or it would follow from other
    /// values of the group what those have.
    case withheld

    public var number: Double? { if case .number(let number) = self { number } else { nil } }
}
