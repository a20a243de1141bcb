import MeridianCore
import MeridianPlacement
import MeridianReplica

/// The shell: the one interpreter of what a node's steps want, for the runtime, the simulator and the tests of whole
/// nodes. What one of them runs, all run.
///
/// The core is a value: events in, effects out. The shell takes the events, reads the clock, steps the core and carries
/// its effects out:
///
/// 1. **events, then the clock**, in this order (`begin`);
/// 2. **frames** leave, so that followers write while this node does;
/// 3. the **log** job queues for the next write (`LogQueue`);
/// 4. **rows** are applied in memory, or queue behind what they must not pass, with snapshots, salvage, checkpoints,
///    collection and rewriting (`StateQueue`, which says what each does with the store and in which order);
/// 5. **answers** go to their callers;
/// 6. **evaluations** are run against the applied rows, and their results are events of the next step.
///
/// It reads no clock of its own, knows no thread and never waits. Its `NodePort` gives the time, carries frames and
/// answers, and is told when one of the two queues has something to do. What the queues then do takes time beside the
/// steps: in the runtime it is a thread's (`LogThread`, `StateThread`), in the simulator it begins and ends at moments
/// of virtual time that the seed draws. So an install, a checkpoint or a slice of collection meets the rows that are
/// applied meanwhile in both worlds, by the same rules.
///
/// Threads: one at a time calls it.
package final class NodeShell {
    package let core: RunningCore
    package let log: LogQueue
    package let state: StateQueue
    package let reader: any StateReader
    /// It owns the shell.
    private unowned(unsafe) var port: (any NodePort)!
    private let timing: ShellTiming

    /// What the next step takes.
    private var events: [NodeEvent] = []
    private var moment = Moment(instant: .zero, clock: .unknown)
    /// When the node wants to be stepped next, if nothing happens before.
    package private(set) var deadline = Instant.zero
    private var nextCheckpoint: Instant
    private var nextCollection: Instant
    private var nextInspection: Instant

    /// Loads the stores.
    /// - Parameters:
    ///   - now: reads both clocks.
    ///   - salvage: keeps commits of histories that have ended, durably. Called by whoever does the state queue's work.
    package init(
        configuration: NodeConfiguration, log: any LogStore, state: any StateStore, timing: ShellTiming,
        now: () -> Moment, salvage: @escaping (Salvage) throws -> Void
    ) throws {
        // The core may cut the log behind what it is told is applied, so that must not be lost in the next crash
        // (HAZARD in `Raft.init`).
        _ = try state.checkpoint()
        reader = try state.makeReader()
        let (logs, states) = (try log.load(), try state.load())
        let rows = try Self.systemRows(reader)
        let now = now()
        core = RunningCore(
            try NodeCore(configuration: configuration, logs: logs, states: states, systemRows: rows, at: now))
        self.log = LogQueue(log)
        self.state = StateQueue(
            StateWorker(
                state, chunkBytes: timing.snapshotChunkByteCount, inspectedCount: timing.inspectedCount,
                salvage: salvage))
        self.timing = timing
        nextCheckpoint = now.instant.advanced(byNanoseconds: timing.checkpointNanoseconds)
        nextCollection = now.instant.advanced(byNanoseconds: timing.collectionNanoseconds)
        nextInspection = now.instant.advanced(byNanoseconds: timing.inspectionNanoseconds)
    }

    /// To be called once, before anything else. The port must live as long as the shell is used.
    package func attach(to port: any NodePort) { self.port = port }

    /// Whether the last step has brought about events for another one.
    package var isToGoOn: Bool { !events.isEmpty }

    /// Takes what has come for the node, and only then reads the clock that the step goes by.
    ///
    /// HAZARD: whoever runs this can be held up at any moment. What comes meanwhile must not be served at a time before
    /// it came: a commit would get a timestamp below that of one that its client has seen, and a read would be served
    /// by a lease that has ended. What happens after the reading is harmless: the step is one that was made at that
    /// time, and whose effects took long.
    package func begin() {
        if !Planted.isOn(.clockReadBeforeEvents) { port.takeEvents(&events) }
        moment = port.now()
    }

    /// Steps the core with what `begin` took, and carries the effects out.
    package func finish() {
        if Planted.isOn(.clockReadBeforeEvents) { port.takeEvents(&events) }
        if moment.instant >= deadline { events.append(.tick) }
        guard !events.isEmpty else { return }
        port.willStep(events.count)
        let effects = core.step(events, at: moment)
        if events.count == 1 { events.removeLast() } else { events.removeAll(keepingCapacity: true) }
        deadline = core.deadline
        // Without effects no replica was worked on.
        if let effects {
            port.stepped(effects, at: moment)
            carryOut(effects)
        }
        if moment.instant >= nextCheckpoint { checkpoint() }
        if moment.instant >= nextCollection { collect() }
        if moment.instant >= nextInspection { inspect() }
    }

    private func carryOut(_ effects: borrowing NodeEffects) {
        for frame in effects.frames { port.send(frame) }
        if !effects.log.isEmpty, log.append(effects.log) { port.logWaits() }
        let (applied, reports, isNews) = state.take(effects)
        if isNews { port.stateWaits() }
        if !applied.isEmpty, state.store.pendingCheckpointByteCount > timing.checkpointByteCount { checkpoint() }
        if !effects.answers.isEmpty { port.answer(effects.answers) }
        if !effects.evaluations.isEmpty {
            let results = effects.evaluations.map { NodeEvent.evaluated($0.run(with: reader)) }
            if !port.delays(results) { events.append(contentsOf: results) }
        }
        if effects.rereadsCatalog {
            do {
                events.append(.systemRows(try Self.systemRows(reader)))
            } catch {
                port.note(error, while: "reading the catalog")
            }
        }
        if !reports.isEmpty { events.append(.digested(reports)) }
        if !applied.isEmpty { events.append(.applied(applied)) }
    }

    private func checkpoint() {
        nextCheckpoint = moment.instant.advanced(byNanoseconds: timing.checkpointNanoseconds)
        guard state.store.pendingCheckpointByteCount > 0 else { return }
        if state.append(.checkpoint(nil)) { port.stateWaits() }
    }

    private func collect() {
        nextCollection = moment.instant.advanced(byNanoseconds: timing.collectionNanoseconds)
        if state.append(.collect(core.catalog.directory)) { port.stateWaits() }
    }

    private func inspect() {
        if state.append(.inspect(core.catalog.directory)) { port.stateWaits() }
        let wait = state.isInspectionOver ? timing.inspectionNanoseconds : timing.inspectionPauseNanoseconds
        nextInspection = moment.instant.advanced(byNanoseconds: wait)
    }

    private static func systemRows(_ reader: any StateReader) throws -> [Mutation] {
        let rows = try reader.scan(Catalog.storedSpan, at: .distantFuture, limit: .max, byteLimit: .max)
        return rows.map { Mutation(key: $0.key, value: $0.version.value) }
    }
}

/// What the shell needs of its world.
package protocol NodePort: AnyObject {
    /// Moves what has come for the node behind these events.
    func takeEvents(_ events: inout [NodeEvent])
    /// Both clocks.
    func now() -> Moment
    func send(_ frame: NodeFrame)
    func answer(_ answers: [GatewayAnswer])
    /// `LogQueue.begin` has something to take. Called on the step thread.
    func logWaits()
    /// `StateQueue.begin` has something to take. Called on the step thread.
    func stateWaits()

    // For whoever watches.

    /// A step with so many events is about to be made.
    func willStep(_ eventCount: Int)
    /// A step has been made, and its effects are about to be carried out.
    func stepped(_ effects: borrowing NodeEffects, at moment: Moment)
    /// Keeps the results of evaluations, to hand them in later, as if the rows had taken their time.
    /// - Returns: whether it does.
    func delays(_ results: [NodeEvent]) -> Bool
    /// Trouble that is no caller's.
    func note(_ error: any Error, while activity: String)
}

/// How often the shell does what nobody asked for.
package struct ShellTiming: Sendable {
    package var checkpointNanoseconds: Int64 = 2_000_000_000
    /// Above so much in memory it does not wait for that.
    package var checkpointByteCount = 12 << 20
    /// How often it looks whether the threshold of a range has risen. What may go says the log
    /// (`AppliedState.threshold`).
    package var collectionNanoseconds: Int64 = 1_000_000_000
    /// All rows are looked through for damage, in pieces of so many versions with so long pauses, and again after the
    /// interval: less than a hundredth of a processor.
    package var inspectionNanoseconds: Int64 = 600_000_000_000
    package var inspectionPauseNanoseconds: Int64 = 50_000_000
    package var inspectedCount = 500
    package var snapshotChunkByteCount = 1 << 20
    /// When work that found the disk full is tried again.
    package static let fullDiskNanoseconds: Int64 = 200_000_000

    package init() {}
}
