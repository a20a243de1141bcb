import MeridianCore

/// Keeps a clock from taking back what it has said.
///
/// Promises: among known intervals, `earliest` never goes back. A reading that is merely less precise than the last one
/// is narrowed by it, which is sound if both are true. A reading that contradicts what was said (all of it lies
/// before an earlier `earliest`, as after a step back) makes the clock unknown until it has caught up: one of the two
/// lied, and nobody here can tell which.
///
/// HAZARD: after a clock ran ahead by an hour and was set right, this process knows no time for an hour, so its leases
/// lapse, its peers take over, and it serves through them. Timestamps from that hour can have been handed out, and
/// whoever reads them must wait the same hour anyway. Starting the process anew forgets what was said, not them.
struct MonotonicGuard: Sendable {
    private var floor = Timestamp(rawValue: .min)

    mutating func admit(_ interval: ClockInterval) -> ClockInterval {
        guard interval.isKnown, interval.latest >= floor else { return .unknown }
        floor = max(floor, interval.earliest)
        return ClockInterval(earliest: floor, latest: interval.latest)
    }
}
