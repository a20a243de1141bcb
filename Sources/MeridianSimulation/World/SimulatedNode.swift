import MeridianClock
import MeridianCore
import MeridianReplica
import MeridianRuntime

/// One machine of the simulated world: its process, if it runs, its clock and its disk.
final class SimulatedNode {
    let position: Int
    let descriptor: NodeDescriptor
    let id: NodeID
    let storage: any NodeStorage
    private let clock: UnsafeMutablePointer<SimulatedClock>
    /// What the clocks said last, and at what true time; a step looks at them several times.
    private var lastRead = Moment(instant: .zero, clock: .unknown)
    private var readAt = Timestamp(rawValue: .min)

    /// The world that it is in, which owns it.
    unowned(unsafe) var engine: Engine!

    /// The process, if it runs.
    var shell: NodeShell?
    /// The shell's core, at hand for whoever watches.
    private(set) var core: RunningCore?
    /// Counts the lives; events for an earlier one are dropped.
    var incarnation = 0
    /// When the wake event that counts is due, and the deadline that it was made for; others come to nothing.
    var wakeAt = Int64.max
    var wakeFor = Instant.distantFuture
    /// What has come for the process and was not taken by a step.
    var inbox: [NodeEvent] = []
    /// When the last of them came, and the last of those that the step under way has taken.
    var cameAt = Timestamp.zero
    var takenAt = Timestamp.zero
    /// What the step under way goes by.
    var stepClock = ClockInterval.unknown
    var pausedUntil = Int64.zero
    var isPaused = false
    /// The thread that steps it is held up, after it has read its clocks and before it steps.
    var isHeldUp = false
    /// While it lasts, steps are held up for so long at most, as the generator says.
    var holdUp: (nanoseconds: Int64, random: SplitMix64)?

    /// A crash that is to happen in the middle of a log write.
    var doom: Doom?

    enum Doom {
        /// Of any write.
        case write
        /// Of a write with a vote in it.
        case vote
    }

    // Its disk, as far as time is concerned.
    /// Ranges of which a fault has changed rows without anybody's knowledge.
    var rotten: Set<RangeID> = []
    /// A fault has changed its files, and no checksum need have told.
    var hasDamagedFiles = false
    var stalledUntil = Int64.zero
    /// Reports of commits that failovers have left behind. They outlive the process.
    var salvaged: [Salvage] = []

    init(position: Int, descriptor: NodeDescriptor, storage: any NodeStorage, clock: SimulatedClock) {
        self.position = position
        self.descriptor = descriptor
        self.id = descriptor.id
        self.storage = storage
        self.clock = .allocate(capacity: 1)
        self.clock.initialize(to: clock)
    }

    deinit {
        clock.deinitialize(count: 1)
        clock.deallocate()
    }

    var isRunning: Bool { shell != nil }
    var log: (any LogStore)? { shell?.log.store }
    var state: (any StateStore)? { shell?.state.store }
    var reader: (any StateReader)? { shell?.reader }
    /// A failure after which the log is not written any more.
    var isLogDead: Bool { shell?.log.isDead ?? false }

    func run(_ shell: NodeShell) {
        self.shell = shell
        core = shell.core
    }

    // MARK: Clocks

    func moment(at trueTime: Timestamp) -> Moment {
        if trueTime == readAt { return lastRead }
        lastRead = clock.pointee.moment(at: trueTime)
        readAt = trueTime
        return lastRead
    }

    func inject(_ fault: SimulatedClockFault, at trueTime: Timestamp) {
        clock.pointee.inject(fault, at: trueTime)
        readAt = Timestamp(rawValue: .min)
    }

    func healClock() {
        clock.pointee.heal()
        readAt = Timestamp(rawValue: .min)
    }

    /// Forgets everything that lived in the process.
    func forgetProcess() {
        shell = nil
        core = nil
        incarnation += 1
        wakeAt = .max
        wakeFor = .distantFuture
        inbox = []
        isPaused = false
        pausedUntil = 0
        isHeldUp = false
    }
}
