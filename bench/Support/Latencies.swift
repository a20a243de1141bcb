import Histogram
import Meridian
import MeridianRuntime
import Synchronization

/// Latencies in a histogram of three significant digits, from a microsecond on.
package final class Latencies: Sendable {
    private let histogram = Mutex(Histogram<UInt64>(numberOfSignificantValueDigits: .three))

    package init() {}

    package func record(_ duration: Duration) {
        let microseconds = UInt64(max(0, duration / .microseconds(1)))
        histogram.withLock { _ = $0.record(microseconds) }
    }

    /// Milliseconds.
    package func percentile(_ percentile: Double) -> Double {
        Double(histogram.withLock { $0.valueAtPercentile(percentile) }) / 1000
    }

    package var count: UInt64 { histogram.withLock { $0.totalCount } }
}

/// Load that does not wait for answers: operations start at a steady rate however long the earlier ones take, and each
/// is timed from the moment at which it was due. A closed loop would stop asking whenever the system is slow, and so
/// hide its slowest answers.
package enum OpenLoop {
    /// - Parameter isScattered: each operation is due at a random moment of its interval and not at its beginning, so
    ///   that several loops do not all begin at the same instants.
    package static func run(
        ratePerSecond: Double, for duration: Duration, isScattered: Bool = false, into latencies: Latencies,
        _ operation: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        precondition(ratePerSecond > 0, "a rate of \(ratePerSecond) operations a second")
        let start = ContinuousClock.now
        let count = Int(ratePerSecond * (duration / .seconds(1)))
        try await withThrowingDiscardingTaskGroup { group in
            for number in 0..<count {
                let moment = isScattered ? Double.random(in: 0..<1) : 0
                let due = start + .seconds((Double(number) + moment) / ratePerSecond)
                let wait = due - ContinuousClock.now
                if wait > .zero { await Pause.sleep(for: wait) }
                group.addTask {
                    // The sleep's own lateness is the bench's, not the store's.
                    let begun = max(due, ContinuousClock.now)
                    try await operation(number)
                    latencies.record(ContinuousClock.now - begun)
                }
            }
        }
    }
}
