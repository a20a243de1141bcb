import MeridianCore

/// The smallest interval that the most sources agree on (Marzullo 1984, as NTP and TigerBeetle use it).
///
/// Sources that are right all contain the true time, so they all share a point. A source that misses the interval
/// on which most others agree is wrong, or all of those are. Intervals are closed: touching in one nanosecond is
/// agreement. A source that knows nothing (`ClockInterval.unknown`) agrees with everybody and must not be counted;
/// callers leave it out.
package enum Marzullo {
    package struct Agreement: Hashable, Sendable {
        /// What all agreeing sources share.
        package let interval: ClockInterval
        /// How many sources contain it.
        package let count: Int
        /// The positions of the sources that do not, ascending. None of them meets the interval in any point.
        package let outvoted: [Int]
    }

    /// Of several intervals with equally many sources the narrowest is returned, and of those the earliest; without
    /// a majority that is a guess, so callers compare `count` with what they need. `nil` without sources.
    package static func agreement(of intervals: [ClockInterval]) -> Agreement? {
        if let common = common(to: intervals) {
            return Agreement(interval: common, count: intervals.count, outvoted: [])
        }
        let edges = edges(of: intervals)
        var count = 0
        var best: (count: Int, interval: ClockInterval)?
        for (position, edge) in edges.enumerated() {
            count += edge.isEnd ? -1 : 1
            guard !edge.isEnd, count >= best?.count ?? 1 else { continue }
            // A start is never the last edge: its own end is still to come.
            let interval = ClockInterval(earliest: edge.time, latest: edges[position + 1].time)
            if let best, best.count == count, best.interval.widthNanoseconds <= interval.widthNanoseconds { continue }
            best = (count, interval)
        }
        precondition(count == 0, "\(count) intervals of \(intervals.count) never end")
        guard let best else { return nil }
        let outvoted = intervals.indices.filter { !intervals[$0].contains(best.interval) }
        return Agreement(interval: best.interval, count: best.count, outvoted: outvoted)
    }

    /// Everything from the first to the last point that at least `count` sources contain; `nil` when there is none.
    ///
    /// While fewer than `intervals.count - count + 1` sources are wrong, the true time lies inside. That does not hold
    /// for `agreement`, whose interval a single wrong source can narrow to the truth's side.
    package static func hull(of intervals: [ClockInterval], coveredBy required: Int) -> ClockInterval? {
        precondition(required > 0, "a point covered by \(required) sources")
        var count = 0
        var first: Timestamp?
        var last: Timestamp?
        for edge in edges(of: intervals) {
            if !edge.isEnd {
                count += 1
                if count >= required, first == nil { first = edge.time }
            } else {
                if count >= required { last = edge.time }
                count -= 1
            }
        }
        guard let first, let last else { return nil }
        return ClockInterval(earliest: first, latest: last)
    }

    /// The largest number of sources that share one point of `interval`.
    package static func support(for interval: ClockInterval, among intervals: [ClockInterval]) -> Int {
        let clipped = intervals.compactMap { $0.intersection(interval) }
        return agreement(of: clipped)?.count ?? 0
    }

    /// What all share, as honest clocks do: then there is nothing to sort. `nil` if that is nothing.
    private static func common(to intervals: [ClockInterval]) -> ClockInterval? {
        guard var common = intervals.first else { return nil }
        for interval in intervals {
            guard let narrower = common.intersection(interval) else { return nil }
            common = narrower
        }
        return common
    }

    private struct Edge {
        var time: Timestamp
        var isEnd: Bool
    }

    /// In the order of time, starts before ends at the same time.
    private static func edges(of intervals: [ClockInterval]) -> [Edge] {
        let edges = intervals.flatMap {
            [Edge(time: $0.earliest, isEnd: false), Edge(time: $0.latest, isEnd: true)]
        }
        return edges.sorted { ($0.time, $0.isEnd ? 1 : 0) < ($1.time, $1.isEnd ? 1 : 0) }
    }
}
