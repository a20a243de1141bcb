import MeridianCore

extension ClockInterval {
    package func contains(_ timestamp: Timestamp) -> Bool { earliest <= timestamp && timestamp <= latest }

    package func contains(_ other: ClockInterval) -> Bool { earliest <= other.earliest && other.latest <= latest }

    /// What both say; `nil` when they cannot both be true.
    package func intersection(_ other: ClockInterval) -> ClockInterval? {
        let start = max(earliest, other.earliest)
        let end = min(latest, other.latest)
        return start <= end ? ClockInterval(earliest: start, latest: end) : nil
    }

    /// The smallest interval that covers both, and therefore the true time if either of them does.
    package func hull(_ other: ClockInterval) -> ClockInterval {
        ClockInterval(earliest: min(earliest, other.earliest), latest: max(latest, other.latest))
    }
}
