import MeridianCore

/// What the planner advises for a table, and the way there: every question that was asked, its answer, and the inputs
/// that it rests on.
package struct Recommendation: Hashable, Sendable {
    /// The field's names for the ways to go multi-region (DESIGN §10).
    package enum Pattern: String, Hashable, Sendable {
        case singleRegion = "single region"
        case activePassive = "active-passive"
        case activeActive = "active-active"
        case synchronous = "synchronous replication"
        case geoPartitionedWrites = "geo-partitioned writes"
        case geoPartitioned = "geo-partitioned data"
    }

    package struct Step: Hashable, Sendable {
        package var question: String
        package var answer: String
        /// The plan's lines and the predictions that gave the answer.
        package var inputs: [String]
    }

    package var pattern: Pattern
    /// `nil` when the topology can carry none that the pattern offers.
    package var mode: PlannedMode?
    /// What to do besides choosing the mode.
    package var advice: [String]
    package var steps: [Step]
    /// What the advised mode does not keep.
    package var missed: [ModePrediction.Wish]
}
