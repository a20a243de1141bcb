import MeridianCore

/// Makes a failing run smaller: which episodes of its plan does the failure need?
///
/// Delta debugging over the list of episodes (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
/// Input", TSE 2002): halves, quarters and so on are left out as long as the run still breaks the same rule. Every
/// attempt is a whole run, so their number is bounded, and for long runs so is the virtual time of them all; what is
/// left need not be the least possible.
public struct Minimiser {
    public var simulation: Simulation
    public var rule: String
    public var attemptLimit: Int

    public init(_ simulation: Simulation, rule: String) {
        self.simulation = simulation
        self.rule = rule
        attemptLimit = max(8, min(60, Int(Self.virtualSeconds / max(1, simulation.length.components.seconds))))
    }

    /// Four virtual hours.
    private static let virtualSeconds: Int64 = 14_400

    /// - Returns: the numbers of the episodes that are left, and how many runs it took.
    public func run() throws -> (episodes: [Int], attempts: Int) {
        try run { episodes in
            var smaller = simulation
            smaller.episodes = Set(episodes)
            return try smaller.run().violation?.rule == rule
        }
    }

    /// - Parameter isBroken: runs with these episodes alone, and says whether the rule is broken too. Whoever calls can
    ///   do so in another process, where a run may trap.
    public func run(_ isBroken: ([Int]) throws -> Bool) throws -> (episodes: [Int], attempts: Int) {
        var kept = try simulation.plan().episodes.map(\.number)
        var attempts = 0
        func fails(_ numbers: [Int]) throws -> Bool {
            attempts += 1
            return try isBroken(numbers)
        }
        var size = max(1, kept.count / 2)
        while !kept.isEmpty, attempts < attemptLimit {
            var hasShrunk = false
            var start = 0
            while start < kept.count, attempts < attemptLimit {
                var candidate = kept
                candidate.removeSubrange(start..<min(start + size, kept.count))
                if try fails(candidate) {
                    kept = candidate
                    hasShrunk = true
                } else {
                    start += size
                }
            }
            if size == 1, !hasShrunk { break }
            if !hasShrunk || size > kept.count { size = max(1, size / 2) }
        }
        return (kept, attempts)
    }
}
