import MeridianClock
import MeridianCore
import MeridianReplica

/// One machine of the simulated world: its process, if it runs, its clock and its disk.
final class SimulatedNode {
    let position: Int
    let descriptor: NodeDescriptor
    var id: NodeID { descriptor.id }
    let storage: any NodeStorage
    var clock: SimulatedClock

    // The process.
    var core: RunningCore?
    /// Counts the lives; events for an earlier one are dropped.
    var incarnation = 0
    var log: (any LogStore)?
    var state: (any StateStore)?
    var reader: (any StateReader)?
    var deadline = Instant.distantFuture
    /// When the earliest wake event in the queue is due.
    var wakeAt = Int64.max
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
    var stalledUntil = Int64.zero
    var snapshotReaders: [SnapshotStreamID: any SnapshotReader] = [:]
    var snapshotWriters: [RangeID: (stream: SnapshotStreamID, writer: any SnapshotWriter)] = [:]

    init(position: Int, descriptor: NodeDescriptor, storage: any NodeStorage, clock: SimulatedClock) {
        self.position = position
        self.descriptor = descriptor
        self.storage = storage
        self.clock = clock
    }

    var isRunning: Bool { core != nil }

    /// Forgets everything that lived in the process.
    func forgetProcess() {
        core = nil
        incarnation += 1
        log = nil
        state = nil
        reader = nil
        deadline = .distantFuture
        wakeAt = .max
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
        snapshotReaders = [:]
        snapshotWriters = [:]
    }
}
