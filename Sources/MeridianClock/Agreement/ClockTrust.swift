import MeridianCore

/// What a reading of our clock between two of a node's steps is worth, for threads that do not step it.
package struct ClockTrust: Sendable {
    /// The clock's reading at the last step; `nil` if it was never known.
    var last: ClockSample?
    var mayLead: Bool
    var drift: DriftBound

    /// The reading, unless the node is suspended (`ClockAgreement`) or the clock has jumped since the last step: then
    /// it is unknown. Precondition: it is not older than the last step's.
    package func clock(at now: Moment) -> ClockInterval {
        guard mayLead, let last, last.aged(to: now.instant, drift: drift).intersection(now.clock) != nil else {
            return .unknown
        }
        return now.clock
    }
}
