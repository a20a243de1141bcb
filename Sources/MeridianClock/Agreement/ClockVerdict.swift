import MeridianCore

/// What one poll of `ClockAgreement` found, for logs and metrics.
package struct ClockVerdict: Hashable, Sendable {
    package enum Finding: Hashable, Sendable {
        /// A majority of the sources, we among them, share an instant.
        case agrees
        /// No majority shares an instant of our interval.
        case disagrees
        /// Our clock is unknown.
        case unknown
        /// Too few peers were heard. Nothing changes.
        case undecided
    }

    package let finding: Finding
    /// How many clocks were compared, ours included if it is known.
    package let sources: Int
    /// How many of them share an instant of our interval, ours included.
    package let support: Int
    /// What the most sources share, if they are a majority.
    package let agreed: ClockInterval?
    /// The peers whose clocks a majority contradicts, by node.
    package let outvoted: [NodeID]
}
