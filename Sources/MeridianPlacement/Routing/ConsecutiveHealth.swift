/// Whether something is healthy, from checks that come one after the other: so many failures in a row make it
/// unhealthy, so many successes in a row healthy again. A single lost packet decides nothing.
///
/// Amazon Route 53 works so: a check every 30 s (or 10 s), 3 in a row by default, for either direction
/// (https://aws.amazon.com/blogs/aws/route-53-health-check-improvements-faster-interval-and-configurable-failover/).
package struct ConsecutiveHealth: Hashable, Sendable {
    package let failureThreshold: Int
    package let successThreshold: Int
    package private(set) var isHealthy = true
    /// Results in a row that speak against `isHealthy`; below the threshold of that direction.
    package private(set) var streak = 0

    /// Precondition: thresholds of at least 1.
    package init(failureThreshold: Int = 3, successThreshold: Int = 3) {
        precondition(
            failureThreshold >= 1 && successThreshold >= 1, "thresholds of \(failureThreshold), \(successThreshold)")
        self.failureThreshold = failureThreshold
        self.successThreshold = successThreshold
    }

    /// - Returns: whether this result has changed `isHealthy`.
    @discardableResult
    package mutating func note(isSuccess: Bool) -> Bool {
        guard isSuccess != isHealthy else {
            streak = 0
            return false
        }
        streak += 1
        guard streak >= (isHealthy ? failureThreshold : successThreshold) else { return false }
        isHealthy.toggle()
        streak = 0
        return true
    }
}
