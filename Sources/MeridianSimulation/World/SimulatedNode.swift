import MeridianClock
import MeridianCore
import MeridianReplica

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

    // The process.
    var core: RunningCore?
    /// Counts the lives; events for an earlier one are dropped.
    var incarnation = 0
    var log: (any LogStore)?
    var state: (any StateStore)?
    var reader: (any StateReader)?
    var deadline = Instant.distantFuture
    /// When the wake event that counts is due, and the deadline that it was made for; others come to nothing.
    var wakeAt = Int64.max
    var wakeFor = Instant.distantFuture
    /// Events that wait for a paused process.
    var backlog: [NodeEvent] = []
    var pausedUntil = Int64.zero
    var isPaused = false

    /// A crash that is to happen in the middle of a log write.
    var doom: Doom?

    enum Doom {
        /// Of any write.
        case write
        /// Of a write with a vote in it.
        case vote
    }

    // Its disk, as far as time is concerned.
    var jobs: [LogJob] = []
    var writing: [LogJob] = []
    var hasToldLogFailure = false
    /// Batches that could not be applied yet, in order.
    var unapplied: [ApplyBatch] = []
    var hasToldStateFailure = false
    /// A failure after which nothing is written any more.
    var isLogDead = false
    var isCheckpointScheduled = false
    /// The ranges that the present look for damage has still to go through.
    var uninspected: [RangeID] = []
    /// Ranges of which a fault has changed rows without anybody's knowledge.
    var rotten: Set<RangeID> = []
    /// A fault has changed its files, and no checksum need have told.
    var hasDamagedFiles = false
    /// When the node hears of the last checkpoint that was begun.
    var checkpointsTold = Int64.zero
    var stalledUntil = Int64.zero
    var snapshotReaders: [SnapshotStreamID: any SnapshotReader] = [:]
    var snapshotWriters: [RangeID: (stream: SnapshotStreamID, writer: any SnapshotWriter)] = [:]

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

    var isRunning: Bool { core != nil }

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
        core = nil
        incarnation += 1
        log = nil
        state = nil
        reader = nil
        deadline = .distantFuture
        wakeAt = .max
        wakeFor = .distantFuture
        backlog = []
        isPaused = false
        pausedUntil = 0
        jobs = []
        writing = []
        hasToldLogFailure = false
        unapplied = []
        hasToldStateFailure = false
        isLogDead = false
        isCheckpointScheduled = false
        checkpointsTold = 0
        snapshotReaders = [:]
        snapshotWriters = [:]
    }
}
