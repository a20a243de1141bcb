/// The kinds of faults that the simulated world has. docs/TESTING.md has the table with their ranges.
public enum FaultKind: String, CaseIterable, Sendable, Hashable, Comparable {
    // What every frame meets, all the time.
    case loss
    case duplication
    case reordering
    case corruption
    case bandwidth
    case jitter
    // Links, for a while.
    case clogging
    case partition
    case oneWayPartition
    case bridge
    case ring
    case flapping
    // Processes.
    case crash
    case restart
    case pause
    /// The thread that steps a node is held up now and then, after it has read its clocks.
    case preemption
    case wipe
    case regionLoss
    case powerCut
    // Clocks within their bound: the sawtooth, jumps inside of it, bounds that grow or are lost.
    case clockDrift
    case clockStrobe
    case clockLoss
    // Clocks that lie: then real-time order is not promised any more, only serializability.
    case clockStep
    case clockFreeze
    /// By hours, for a moment or for good.
    case clockJump
    /// The machine sleeps, and its monotonic clock does not count that, perhaps its wall clock does not, either.
    case sleep
    // Disks.
    case slowDisk
    case diskStall
    case diskFull
    case failedSync
    case lyingSync
    case tornWrite
    case misdirectedWrite
    case bitRot
    case truncation
    // What operators do.
    case leaseTransfer

    public static func < (lhs: FaultKind, rhs: FaultKind) -> Bool { lhs.rawValue < rhs.rawValue }

    /// Data of the node that it hits is lost: never more than one node at a time, or nobody keeps a good copy.
    public var isDestructive: Bool {
        switch self {
        case .wipe, .failedSync, .lyingSync, .misdirectedWrite, .bitRot, .truncation: true
        default: false
        }
    }

    /// A clock says what is not true.
    public var isClockLie: Bool {
        switch self {
        case .clockStep, .clockFreeze, .clockJump, .sleep: true
        default: false
        }
    }

    /// What the store promises to survive with all of its promises kept: everything but lying clocks, which take
    /// real-time order with them.
    public static var standard: Set<FaultKind> { Set(allCases.filter { !$0.isClockLie }) }

    /// - Throws: `SimulationError.unknownFault`, which lists the known ones.
    public static func parse(_ list: String) throws(SimulationError) -> Set<FaultKind> {
        switch list {
        case "all": return Set(allCases)
        case "standard": return standard
        case "nondestructive": return standard.filter { !$0.isDestructive }
        case "none": return []
        default: break
        }
        var kinds: Set<FaultKind> = []
        for name in list.split(separator: ",") {
            guard let kind = FaultKind(rawValue: String(name)) else { throw .unknownFault(String(name)) }
            kinds.insert(kind)
        }
        return kinds
    }
}
