import CMeridianSystem
import MeridianCore

/// The kernel's own bound on how wrong its clock is, as the time daemon maintains it (`ntp_adjtime`, RFC 5905 §11).
///
/// The daemon sets `maxerror` to the root distance of its sources when it polls them; the kernel adds its drift rate
/// once a second. We read it at most every 100 ms and add the same drift in between, so a reading costs no system
/// call. A kernel that calls its clock unsynchronised has no bound: the clock is unknown.
///
/// HAZARD: `maxerror` is what the time daemon believes. A daemon that sets the clock without disciplining the kernel
/// leaves it unsynchronised, which is noticed; one that writes an error too small is not, except by the peers
/// (`ClockAgreement`). A leap second makes the kernel's clock step or, if the daemon smears, wrong by up to half a
/// second against clocks that do not smear: all nodes must follow servers that smear alike.
struct KernelErrorBound: Sendable {
    /// 500 µs/s: the most by which the kernel lets a clock run away between updates (MAXFREQ).
    private static let drift = DriftBound(nanosecondsPerSecond: 500_000)
    private static let pollIntervalNanoseconds: Int64 = 100_000_000
    /// The kernel adds its drift once a second, so what it says can lack that of one second.
    private static let kernelStalenessNanoseconds: Int64 = 500_000

    private var polledAt: Instant?
    /// At `polledAt`; `nil` when the kernel has no bound.
    private var errorNanoseconds: Int64?

    /// Asks the kernel, if the last answer is old. To be called before the clock is read: the daemon can correct the
    /// clock in between, and the bound that it states then is not that of a reading from before.
    mutating func poll(at instant: Instant, read: () -> meridian_kernel_clock = meridian_kernel_clock_read) {
        guard polledAt.map({ instant.nanoseconds(since: $0) >= Self.pollIntervalNanoseconds }) ?? true else { return }
        let answer = read()
        polledAt = instant
        let isUsable = answer.error == 0 && answer.is_unsynchronised == 0 && answer.maximum_error_us >= 0
        errorNanoseconds = isUsable ? answer.maximum_error_us * 1_000 + Self.kernelStalenessNanoseconds : nil
    }

    /// The bound of a clock that is read by an instant, `nil` when there is none.
    func errorNanoseconds(at instant: Instant) -> Int64? {
        guard let polledAt, let errorNanoseconds else { return nil }
        return errorNanoseconds + Self.drift.errorNanoseconds(over: max(0, instant.nanoseconds(since: polledAt)))
    }
}
