/// Medians of the earliest and the latest of several independent delays, each even over a span: how long until the
/// first of some timers rings, or the last of some messages comes.
///
/// Found by bisection on their distribution function, to a microsecond, so that equal inputs give equal answers.
struct UniformDelays: Hashable, Sendable {
    /// From `start`, over `width`. Nanoseconds.
    struct Delay: Hashable, Sendable {
        var start: Int64
        var width: Int64

        /// The share of cases in which it is over by then.
        func probability(by instant: Int64) -> Double {
            guard instant >= start else { return 0 }
            return width > 0 ? min(1, Double(instant - start) / Double(width)) : 1
        }

        var end: Int64 { start + width }
    }

    var delays: [Delay]

    init(_ delays: [Delay]) {
        precondition(!delays.isEmpty, "no delays have no median")
        for delay in delays { precondition(delay.width >= 0, "a delay over \(delay.width) ns") }
        self.delays = delays
    }

    /// Half of the time, all are over by then.
    var medianOfLatest: Int64 {
        median { instant in delays.reduce(1) { $0 * $1.probability(by: instant) } }
    }

    /// Half of the time, one is over by then.
    var medianOfEarliest: Int64 {
        median { instant in 1 - delays.reduce(1) { $0 * (1 - $1.probability(by: instant)) } }
    }

    private func median(_ probability: (Int64) -> Double) -> Int64 {
        var low = delays.map(\.start).min() ?? 0
        var high = delays.map(\.end).max() ?? 0
        while high - low > 1000 {
            let middle = low + (high - low) / 2
            if probability(middle) >= 0.5 { high = middle } else { low = middle }
        }
        return high
    }
}
