/// The ranges from which faults are drawn, one seed at a time. They follow TigerBeetle's VOPR and Jepsen's nemeses
/// (shared/anchors/reliability.md §1.1, §4), scaled to links between regions.
enum FaultRange {
    /// Of one; squares of uniform draws, so small shares are frequent.
    static let loss = 0.30
    static let duplication = 0.50
    static let reordering = 0.30
    static let corruption = 0.10
    /// A frame takes up to this share longer than its link is long.
    static let jitter = 1.0
    /// Bytes a second and link.
    static let bandwidth: ClosedRange<Int64> = 64 << 10...8 << 20
    /// The mean time of a log write; the cube of a uniform draw.
    static let diskNanoseconds: ClosedRange<Int64> = 50_000...100_000_000
    static let evaluationNanoseconds: Int64 = 5_000_000

    /// How long an episode lasts, in nanoseconds; `nil` for what is weather. For what happens in a moment, how long it
    /// takes until the operator has it repaired.
    static func length(of kind: FaultKind) -> ClosedRange<Int64>? {
        switch kind {
        case .loss, .duplication, .reordering, .corruption, .bandwidth, .jitter, .clockDrift, .slowDisk, .tornWrite:
            nil
        case .clogging: milliseconds(50, 5_000)
        case .partition, .oneWayPartition, .bridge, .ring: milliseconds(200, 10_000)
        case .flapping: milliseconds(1_000, 10_000)
        case .crash: milliseconds(20, 5_000)
        case .restart: milliseconds(20, 1_000)
        case .pause: milliseconds(100, 15_000)
        case .preemption: milliseconds(500, 10_000)
        case .wipe: milliseconds(100, 5_000)
        case .regionLoss: milliseconds(500, 10_000)
        case .powerCut: milliseconds(20, 2_000)
        case .clockStrobe: milliseconds(500, 5_000)
        case .clockLoss: milliseconds(500, 20_000)
        case .clockStep, .clockFreeze: milliseconds(500, 10_000)
        case .clockJump: milliseconds(20, 2_000)
        case .sleep: milliseconds(500, 20_000)
        case .diskStall: milliseconds(500, 15_000)
        case .diskFull: milliseconds(500, 10_000)
        case .failedSync: milliseconds(100, 5_000)
        case .lyingSync: milliseconds(500, 5_000)
        case .misdirectedWrite, .bitRot, .truncation: milliseconds(100, 5_000)
        case .leaseTransfer: milliseconds(1, 1)
        }
    }

    /// One episode in this many has a companion: another fault of the same target, which begins soon after it. Many
    /// bugs need two things to go wrong with one node, such as a pause and a partition.
    static let companionEvery: UInt64 = 3
    static let companionDelayNanoseconds: Int64 = 300_000_000

    /// A link that flaps is up and down for this long each time.
    static let flapNanoseconds: ClosedRange<Int64> = 50_000_000...2_500_000_000
    /// The longest that a step is held up.
    static let preemptionNanoseconds: ClosedRange<Int64> = 1_000_000...400_000_000
    /// A clock that steps jumps this far, to either side.
    static let stepNanoseconds: Int64 = 10_000_000_000

    /// One that jumps, to either side.
    static let jumpNanoseconds: ClosedRange<Int64> = 3_600_000_000_000...24 * 3_600_000_000_000
    /// A wall clock that slept with its machine is set right after this long at most.
    static let resetNanoseconds: Int64 = 10_000_000_000

    private static func milliseconds(_ low: Int64, _ high: Int64) -> ClosedRange<Int64> {
        low * 1_000_000...high * 1_000_000
    }
}
