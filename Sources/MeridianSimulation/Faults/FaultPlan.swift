import MeridianCore

/// What will go wrong in a run, drawn from the seed before the run begins: the weather that lasts, and episodes with a
/// beginning and an end. A plan is a value, so that a failing one can be made smaller (`Minimiser`) and run again.
///
/// Each seed switches a random half of the allowed kinds off (swarm testing; Groce et al., ISSTA 2012): a world in
/// which everything fails at once hides the bugs that need one thing to fail for long.
public struct FaultPlan: Sendable, Hashable {
    /// What lasts for the whole safety phase. Shares are of one.
    public struct Weather: Sendable, Hashable {
        public var loss = 0.0
        public var duplication = 0.0
        public var reordering = 0.0
        public var corruption = 0.0
        public var jitter = 0.02
        /// Bytes a second and link; `nil` for no limit.
        public var bandwidth: Int64?
        /// The mean time of a log write, in nanoseconds.
        public var diskNanoseconds: Int64 = 200_000
        /// How long the rows take to answer at most, in nanoseconds.
        public var evaluationNanoseconds: Int64 = 0
        /// Whether clocks err as real ones do, or not at all.
        public var clocksDrift = false
    }

    /// Who is hit.
    public enum Target: Sendable, Hashable {
        /// A node by its position in the topology, from 0.
        case node(Int)
        /// Whoever leads some range when the episode begins; the number chooses among them.
        case leader(UInt32)
    }

    /// One fault with a beginning and an end.
    public struct Episode: Sendable, Hashable {
        public var number: Int
        public var kind: FaultKind
        public var start: Duration
        public var length: Duration
        public var target: Target
        /// Whatever else the episode needs to draw comes from here.
        public var seed: UInt64
    }

    public var kinds: Set<FaultKind>
    public var weather: Weather
    /// In the order of their beginnings.
    public var episodes: [Episode]
    /// The only node that destructive faults may hit, by position; the others keep good copies.
    public var victim: Int

    /// The calm world.
    public static let calm = FaultPlan(kinds: [], weather: Weather(), episodes: [], victim: 0)

    /// Whether a clock may lie in this run.
    public var hasClockLies: Bool { episodes.contains { $0.kind.isClockLie } }

    /// Only the episodes with these numbers.
    public func keeping(_ numbers: Set<Int>) -> FaultPlan {
        var plan = self
        plan.episodes = episodes.filter { numbers.contains($0.number) }
        return plan
    }
}

extension FaultPlan {
    /// Draws a plan.
    /// - Parameters:
    ///   - kinds: what is allowed to go wrong.
    ///   - length: of the safety phase.
    /// - Throws: `.impossiblePlan` when a kind would leave no quorum with a good copy in this topology.
    public static func draw(
        seed: UInt64, kinds: Set<FaultKind>, topology: Topology, length: Duration
    ) throws(SimulationError) -> FaultPlan {
        try check(kinds, topology)
        var random = SplitMix64(seed: seed ^ 0x6661_756C_7473)
        let drawn = Set(kinds.sorted().filter { _ in random.below(2) == 0 })
        var plan = FaultPlan.calm
        plan.kinds = drawn
        plan.victim = Int(random.below(UInt64(topology.nodes.count)))
        plan.weather = Weather(kinds: drawn, random: &random)
        plan.episodes = episodes(of: drawn, topology, length, victim: plan.victim, &random)
        return plan
    }

    /// Losing a copy is survived where a majority of every group keeps one: with three nodes a region or more, every
    /// group has at least three voters, and the plan damages one node at a time.
    private static func check(_ kinds: Set<FaultKind>, _ topology: Topology) throws(SimulationError) {
        guard let kind = kinds.filter(\.isDestructive).min() else { return }
        for region in topology.regions where topology.nodes(in: region).count < 3 {
            throw .impossiblePlan(
                "\(kind.rawValue) destroys a copy, and region \(region) has "
                    + "\(topology.nodes(in: region).count) nodes: no quorum of a range at home there would be left. "
                    + "Use a topology with at least three nodes a region, or leave these faults out: "
                    + FaultKind.allCases.filter(\.isDestructive).map(\.rawValue).joined(separator: ","))
        }
    }

    private static func episodes(
        of kinds: Set<FaultKind>, _ topology: Topology, _ length: Duration, victim: Int, _ random: inout SplitMix64
    ) -> [Episode] {
        let possible = kinds.sorted().filter { FaultRange.length(of: $0) != nil }
        guard !possible.isEmpty else { return [] }
        // Calm seeds and stormy ones: an episode every 0.5 to 8 s.
        let meanGap = 500_000_000 + Int64(random.below(7_500_000_000))
        let end = length.nanoseconds
        var episodes: [Episode] = []
        var at = Int64(random.below(UInt64(meanGap))) + 200_000_000
        /// Until when the victim is still being repaired.
        var repairedAt: Int64 = 0
        /// The target that the next episode shares with the last one.
        var shared: Target?
        while at < end {
            let kind = possible[Int(random.below(UInt64(possible.count)))]
            let range = FaultRange.length(of: kind)!
            let span = range.lowerBound + Int64(random.below(UInt64(range.upperBound - range.lowerBound + 1)))
            let node = Int(random.below(UInt64(topology.nodes.count)))
            let choice = UInt32(truncatingIfNeeded: random.next())
            var target = random.below(2) == 0 ? Target.node(node) : .leader(choice)
            if let known = shared { target = known }
            if kind.isDestructive { target = .node(victim) }
            let episodeSeed = random.next()
            if !kind.isDestructive || at >= repairedAt {
                episodes.append(
                    Episode(
                        number: episodes.count + 1, kind: kind, start: .nanoseconds(at), length: .nanoseconds(span),
                        target: target, seed: episodeSeed))
                if kind.isDestructive { repairedAt = at + span + 20_000_000_000 }
            }
            let gap = 1 + Int64(random.below(UInt64(2 * meanGap)))
            let hasCompanion = shared == nil && random.below(FaultRange.companionEvery) == 0
            shared = hasCompanion ? target : nil
            at += hasCompanion ? gap % FaultRange.companionDelayNanoseconds : gap
        }
        return episodes
    }
}

extension FaultPlan.Weather {
    init(kinds: Set<FaultKind>, random: inout SplitMix64) {
        self.init()
        // Every value is drawn whether it is used or not, so that leaving a kind out changes nothing else.
        let draws = (0..<8).map { _ in Double(random.next() >> 11) * 0x1p-53 }
        // Small shares are more frequent than large ones.
        if kinds.contains(.loss) { loss = FaultRange.loss * draws[0] * draws[0] }
        if kinds.contains(.duplication) { duplication = FaultRange.duplication * draws[1] * draws[1] }
        if kinds.contains(.reordering) { reordering = FaultRange.reordering * draws[2] * draws[2] }
        if kinds.contains(.corruption) { corruption = FaultRange.corruption * draws[3] * draws[3] }
        if kinds.contains(.jitter) { jitter = FaultRange.jitter * draws[4] }
        if kinds.contains(.bandwidth) {
            let range = FaultRange.bandwidth
            bandwidth = range.lowerBound + Int64(Double(range.upperBound - range.lowerBound) * draws[5])
        }
        if kinds.contains(.slowDisk) {
            let range = FaultRange.diskNanoseconds
            diskNanoseconds =
                range.lowerBound + Int64(Double(range.upperBound - range.lowerBound) * draws[6] * draws[6] * draws[6])
            evaluationNanoseconds = Int64(Double(FaultRange.evaluationNanoseconds) * draws[7])
        }
        clocksDrift = kinds.contains(.clockDrift)
    }
}
