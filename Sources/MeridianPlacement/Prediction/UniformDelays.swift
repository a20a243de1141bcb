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

    /// Of each, how likely it is the earliest: each in turn is taken at 1,000 even points of its span, with the chance
    /// that the others come later.
    var sharesOfEarliest: [Double] {
        let points: Int64 = 1_000
        let shares = delays.indices.map { position in
            let delay = delays[position]
            return (0..<points).reduce(0.0) { sum, point in
                let instant = delay.start + (2 * point + 1) * delay.width / (2 * points)
                return sum
                    + delays.indices.filter { $0 != position }.reduce(1) {
                        $0 * (1 - delays[$1].probability(by: instant))
                    }
            }
        }
        let total = shares.reduce(0, +)
        return total > 0 ? shares.map { $0 / total } : shares.map { _ in 1 / Double(shares.count) }
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
