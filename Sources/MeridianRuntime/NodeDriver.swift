import Foundation
import Logging
import MeridianCore
import MeridianReplica
import Synchronization

/// Drives one `NodeCore` with real clocks, files and links.
///
/// Events gather in the inbox; whoever runs the driver takes all of them, steps the core once and carries the effects
/// out: frames first, so that followers write while this node does, then the log job, the applies, the reads and the
/// answers. Three threads serve a node, and none of them waits for another's disk:
///
/// - the **step thread** steps the core, applies and reads rows; it sleeps until the core's next deadline;
/// - the **log thread** (`LogWriter`) writes and syncs the log: one transaction and one fsync for all that has
///   gathered while it was busy;
/// - the **state thread** (`StateApplier`) writes checkpoints, moves snapshots, collects garbage.
///
/// At most one thread steps the core at a time: `Inbox.phase` says so, and everything that only the runner may touch
/// is handed from thread to thread under the inbox's lock.
package final class NodeDriver: @unchecked Sendable {
    private enum Phase {
        /// Nobody runs it and nothing is to be done. Becomes `scheduled` by an event.
        case idle
        /// Somebody has been told to run it. Becomes `running`.
        case scheduled
        /// Becomes `idle` when the inbox is empty, `scheduled` when it hands over.
        case running
        /// The end.
        case stopped
    }

    private struct Inbox {
        var events: [NodeEvent] = []
        var phase = Phase.idle
        /// A thread is inside of `run`, also for a moment after `stopped`.
        var isInUse = false
    }

    package typealias Answer = GatewayAnswer.Body

    package let node: NodeID
    private let time: any TimeSource
    private let logger: Logger
    private let send: @Sendable (NodeFrame) -> Void
    private let inbox = Mutex(Inbox())
    private let calls = Mutex(Calls())
    private let published: Mutex<Catalog>
    private let led = Mutex<Set<RangeID>>([])
    private let found = Mutex<[Divergence]>([])
    private let wake = WakeSignal()
    /// Nobody runs the stopped node any more.
    private let released = WakeSignal()
    private let deadline = Atomic<Int64>(0)
    private let isClockTrusted = Atomic<Bool>(true)
    let log: LogWriter
    let applier: StateApplier

    // Only the runner touches these.
    private var core: NodeCore
    private let reader: any StateReader

    private struct Calls {
        var next: UInt64
        var continuations: [GatewayRequestID: UnsafeContinuation<Answer, Never>] = [:]
        var isStopped = false

        init() {
            var generator = SystemRandomNumberGenerator()
            // Ids of an earlier incarnation must not meet this one's.
            next = generator.next() & ~0xFFFF_FFFF
        }
    }

    /// Loads the stores. Blocks; not to be called from Swift's cooperative pool.
    /// - Parameter lost: the node lost its disk, and the stores are new: the life that begins now, drawn at random. It
    ///   is durable when this returns, so that later starts need not be told.
    package init(
        configuration: NodeConfiguration, log: any LogStore, state: any StateStore, lost: Incarnation? = nil,
        time: any TimeSource, garbageCollection: GarbageCollection = GarbageCollection(), logger: Logger,
        salvage: @escaping @Sendable (Salvage) throws -> Void = { _ in }, send: @escaping @Sendable (NodeFrame) -> Void
    ) throws {
        self.node = configuration.node
        self.time = time
        self.send = send
        self.logger = logger
        if let lost { try Self.begin(lost, log, state) }
        // The core may cut the log behind what it is told is applied, so that must not be lost in the next crash
        // (HAZARD in `Raft.init`).
        _ = try state.checkpoint()
        self.reader = try state.makeReader()
        let rows = try reader.rows(of: Catalog.storedSpan, at: .distantFuture)
        self.core = try NodeCore(
            configuration: configuration, logs: log.load(), states: state.load(),
            systemRows: rows.map { Mutation(key: $0.key, value: $0.version.value) }, at: time.now())
        self.published = Mutex(core.catalog)
        self.log = LogWriter(log)
        self.applier = StateApplier(
            state, garbageCollection: garbageCollection, salvage: salvage)
    }

    private static func begin(_ life: Incarnation, _ log: any LogStore, _ state: any StateStore) throws {
        guard try log.load().isEmpty, try state.load().isEmpty else {
            throw MeridianError(.storageFailed, "a node that lost its disk must start with empty files")
        }
        try log.write([NodeCore.recoveryWrite(life)])
    }

    package func start() {
        log.start(for: self, send: send)
        applier.start(for: self)
        EngineThread.start("meridian.step.\(node)") { [self] in stepLoop() }
        // Timers run from the first step on.
        enqueue(.tick)
    }

    /// The tables and ranges that this node knows of.
    package var catalog: Catalog { published.withLock { $0 } }

    /// Log transactions written since the start, each with one fsync.
    package var logWriteCount: Int { log.writeCount.load(ordering: .relaxed) }

    /// What this node's clock says; unknown while the other nodes' clocks contradict it.
    package var clock: ClockInterval { isClockTrusted.load(ordering: .relaxed) ? time.now().clock : .unknown }

    /// Whether this node leads a range, as far as it knows.
    package func leads(_ range: RangeID) -> Bool { led.withLock { $0.contains(range) } }

    // MARK: Events in

    package func receive(_ frame: NodeFrame) { enqueue(.frame(frame)) }

    func enqueue(_ event: NodeEvent) {
        let mustRun = inbox.withLock { inbox in
            if case .stopped = inbox.phase { return false }
            inbox.events.append(event)
            guard case .idle = inbox.phase else { return false }
            inbox.phase = .scheduled
            return true
        }
        if mustRun, !EngineThread.adopt(self) { wakeOwnThread() }
    }

    func wakeOwnThread() { wake.signal() }

    /// Asks this node's gateway. Ends by the deadline at the latest, and when the caller's task is cancelled. Then what
    /// was asked is under way.
    package func call(
        _ range: RangeID, _ body: GatewayCall.Body, deadline: Duration, mayBeRepeated: Bool
    ) async -> Answer {
        let at = Instant(rawValue: time.now().instant.rawValue).advanced(byNanoseconds: deadline.nanoseconds)
        let id: GatewayRequestID? = calls.withLock { calls in
            guard !calls.isStopped else { return nil }
            calls.next += 1
            return GatewayRequestID(rawValue: calls.next)
        }
        guard let id else { return .failed(Self.shutDown(node, .notCommitted)) }
        let cancelled = Answer.failed(.cancelled(while: body))
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isStopped = calls.withLock { calls in
                    if !calls.isStopped { calls.continuations[id] = continuation }
                    return calls.isStopped
                }
                if isStopped { return continuation.resume(returning: .failed(Self.shutDown(node, .notCommitted))) }
                enqueue(
                    .call(GatewayCall(id: id, range: range, body: body, deadline: at, mayBeRepeated: mayBeRepeated)))
                // The handler can have run before there was anything to end.
                if Task.isCancelled { end(id, cancelled) }
            }
        } onCancel: {
            end(id, cancelled)
        }
    }

    private func end(_ id: GatewayRequestID, _ answer: Answer) {
        calls.withLock { $0.continuations.removeValue(forKey: id) }?.resume(returning: answer)
    }

    private static func shutDown(_ node: NodeID, _ outcome: MeridianError.CommitOutcome) -> MeridianError {
        MeridianError(
            .shutDown, "node \(node) has stopped; ask another node of the region", retry: .immediately,
            commitOutcome: outcome)
    }

    // MARK: Running

    private func stepLoop() {
        while true {
            EngineThread.runAdopted()
            sleepUntilDeadline()
            let isStopped = inbox.withLock { inbox in
                if case .stopped = inbox.phase { return true }
                if case .idle = inbox.phase { inbox.phase = .scheduled }
                return false
            }
            if isStopped { return }
            run()
        }
    }

    /// Steps the core until its inbox is empty. Whoever calls it while another thread runs the driver returns at once.
    /// - Parameter limit: after so many steps the node's own thread goes on, since this one has its own work.
    func run(limit: Int = .max) {
        let isMine = inbox.withLock { inbox in
            guard case .scheduled = inbox.phase else { return false }
            inbox.phase = .running
            inbox.isInUse = true
            return true
        }
        guard isMine else { return }
        var found: [NodeEvent] = []
        var rounds = 0
        while true {
            if rounds >= limit, found.isEmpty {
                handOver()
                return
            }
            rounds += 1
            // Only a look at whether there is anything to do: the clock that the step goes by is read below.
            let isDue = time.now().instant.rawValue >= deadline.load(ordering: .relaxed)
            guard take(&found, isDue: isDue) else { return }
            // HAZARD: the clock is read after the events were taken. This thread can be held up at any moment, and what
            // comes meanwhile must not be served at a time before it came: a commit would get a timestamp below that of
            // one that its client has seen, a read would be served by a lease that has ended.
            let now = time.now()
            var events: [NodeEvent] = []
            swap(&events, &found)
            if isDue { events.append(.tick) }
            let effects = core.step(events, at: now)
            isClockTrusted.store(core.isClockTrusted, ordering: .relaxed)
            if let effects { found = carryOut(effects) }
            let next = core.deadline.rawValue
            if next != deadline.exchange(next, ordering: .sequentiallyConsistent) { noteDeadline(next) }
        }
    }

    /// Takes the inbox's events behind those that the last step has brought about.
    /// - Returns: `false` when there is nothing to do, or the node has stopped: nobody runs it any more.
    private func take(_ events: inout [NodeEvent], isDue: Bool) -> Bool {
        let phase: Phase = inbox.withLock { inbox in
            if case .running = inbox.phase {
                if events.isEmpty {
                    swap(&events, &inbox.events)
                } else {
                    events.append(contentsOf: inbox.events)
                    inbox.events.removeAll(keepingCapacity: true)
                }
                if !events.isEmpty || isDue { return .running }
                inbox.phase = .idle
            }
            inbox.isInUse = false
            return inbox.phase
        }
        if case .running = phase { return true }
        if case .stopped = phase { released.signal() }
        return false
    }

    private func handOver() {
        let isStopped = inbox.withLock { inbox in
            inbox.isInUse = false
            guard case .running = inbox.phase else { return true }
            inbox.phase = .scheduled
            return false
        }
        if isStopped { released.signal() }
        wakeOwnThread()
    }

    /// The step thread must hear of a deadline that is earlier than the one it sleeps until.
    private func noteDeadline(_ next: Int64) {
        if next < sleepingUntil.load(ordering: .sequentiallyConsistent) { wake.signal() }
    }

    /// What the step thread sleeps until; far in the past while it is awake.
    private let sleepingUntil = Atomic<Int64>(.min)

    private func sleepUntilDeadline() {
        let at = deadline.load(ordering: .sequentiallyConsistent)
        sleepingUntil.store(at, ordering: .sequentiallyConsistent)
        // Whoever sets an earlier deadline either sees that this thread sleeps, or is seen here.
        if deadline.load(ordering: .sequentiallyConsistent) >= at { wake.wait(untilNanoseconds: at) }
        sleepingUntil.store(.min, ordering: .sequentiallyConsistent)
    }

    private func carryOut(_ effects: borrowing NodeEffects) -> [NodeEvent] {
        for frame in effects.frames { send(frame) }
        if !effects.log.isEmpty { log.enqueue(effects.log) }
        let applied = applier.carryOut(effects, self)
        if !effects.answers.isEmpty { answer(effects.answers) }
        if !effects.leaderships.isEmpty {
            led.withLock { led in
                for change in effects.leaderships {
                    if change.isHeld { led.insert(change.range) } else { led.remove(change.range) }
                }
            }
        }
        if !effects.divergences.isEmpty { report(effects.divergences) }
        if effects.directoryChanged { published.withLock { $0 = core.catalog } }
        var events = effects.evaluations.map { NodeEvent.evaluated($0.run(with: reader)) }
        if effects.rereadsCatalog {
            do {
                let rows = try reader.rows(of: Catalog.storedSpan, at: .distantFuture)
                events.append(.systemRows(rows.map { Mutation(key: $0.key, value: $0.version.value) }))
            } catch {
                note(error, while: "reading the catalog")
            }
        }
        if !applied.isEmpty { events.append(.applied(applied)) }
        return events
    }

    private func answer(_ answers: [GatewayAnswer]) {
        let waiting = calls.withLock { calls in
            answers.map { ($0.body, calls.continuations.removeValue(forKey: $0.id)) }
        }
        for (body, continuation) in waiting { continuation?.resume(returning: body) }
    }

    /// Replicas that this node as a leader has found to differ from the others, the last ones.
    package var divergences: [Divergence] { found.withLock { $0 } }

    private func report(_ divergences: [Divergence]) {
        for divergence in divergences {
            logger.critical(
                divergence.isRebuilt
                    ? "a replica holds other rows than the others; it is rebuilt"
                    : "replicas hold different rows and no quorum agrees; somebody must decide",
                metadata: [
                    "range": "\(divergence.range)", "node": "\(divergence.node)", "index": "\(divergence.index)",
                    "agreeing": "\(divergence.agreeing)",
                ])
        }
        found.withLock { $0 = Array(($0 + divergences).suffix(Self.keptDivergences)) }
    }

    private static let keptDivergences = 100

    /// Trouble that is not any caller's: it goes to the log, and what it means for requests shows in their answers.
    func note(_ error: any Error, while activity: String) {
        logger.error("storage trouble", metadata: ["node": "\(node)", "while": "\(activity)", "error": "\(error)"])
    }

    // MARK: The end

    /// Stops the node.
    /// - Parameter isCrash: the files are left as they are, as if the process had died; otherwise everything applied
    ///   is made durable first, so that the next start has nothing to replay.
    package func stop(isCrash: Bool = false) {
        let wasRunning = inbox.withLock { inbox in
            if case .stopped = inbox.phase { return false }
            inbox.phase = .stopped
            inbox.events = []
            return true
        }
        guard wasRunning else { return }
        wake.signal()
        // The stores are closed below, and whoever runs the node may be reading from them.
        while inbox.withLock({ $0.isInUse }) { released.wait(untilNanoseconds: nil) }
        log.stop(isCrash: isCrash)
        applier.stop(isCrash: isCrash)
        let waiting = calls.withLock { calls in
            calls.isStopped = true
            defer { calls.continuations = [:] }
            return calls.continuations.sorted { $0.key < $1.key }.map(\.value)
        }
        for continuation in waiting { continuation.resume(returning: .failed(Self.shutDown(node, .unknown))) }
    }
}
