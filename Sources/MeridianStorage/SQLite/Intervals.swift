/// The intervals sorted, and neighbours joined, so that rows are deleted in as few statements as possible.
func joined(_ intervals: [ClosedRange<Int64>]) -> [ClosedRange<Int64>] {
    var joined: [ClosedRange<Int64>] = []
    for interval in intervals.sorted(by: { $0.lowerBound < $1.lowerBound }) {
        if let last = joined.last, interval.lowerBound <= last.upperBound + 1 {
            joined[joined.count - 1] = last.lowerBound...max(last.upperBound, interval.upperBound)
        } else {
            joined.append(interval)
        }
    }
    return joined
}
