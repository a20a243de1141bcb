import MeridianCore
import MeridianPlacement
import Synchronization

/// Whether this process has run, and for how long without standing still.
///
/// Who judges others by their silence must have been able to hear them. A process that was stopped (a debugger,
/// `SIGSTOP`, a virtual machine that was moved), or whose threads were blocked, finds on waking that time has passed
/// and
/// nobody has spoken; it cannot tell its own pause from their death, and they may have stood still beside it: in one
/// process, or on one machine. So it says when it runs, often, and takes a gap for a standstill; what it has not heard
/// counts only once it has run for a while since (`RegionKeeper`).
///
/// HAZARD: a gap that is shorter than `limit` is not seen. It is half of a region's term of authority, of which a
/// region that renews has at least that much left.
final class StandstillWatch: Sendable {
    /// Between two beats. More is a standstill.
    static let limit = Duration.nanoseconds(ClusterTiming.authorityTermNanoseconds / 2)
    /// How often to say so.
    static let interval = limit / 10
    /// For how long silence must be heard after a standstill: whoever stood still beside this process renews in it.
    static let recovery = limit * 2

    private struct State {
        var latest: Instant?
        var runsSince: Instant?
    }

    private let state = Mutex(State())

    /// This process runs.
    func beat(at now: Instant) {
        state.withLock { state in
            let isFirst = state.latest == nil
            if let latest = state.latest, now.nanoseconds(since: latest) > Self.limit.nanoseconds {
                state.runsSince = now
            }
            // A process that has just begun has not heard anybody either.
            if isFirst { state.runsSince = now }
            state.latest = now
        }
    }

    /// Whether it has run long enough for others' silence to be theirs.
    func canJudge(at now: Instant) -> Bool {
        beat(at: now)
        return state.withLock { $0.runsSince.map { now.nanoseconds(since: $0) >= Self.recovery.nanoseconds } ?? false }
    }
}
