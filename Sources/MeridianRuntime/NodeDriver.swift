import Foundation
import Logging
import MeridianClock
import MeridianCore
import MeridianReplica
import Synchronization

/// Gives one node's shell (`NodeShell`) real clocks, files, links and threads.
///
/// Events gather in the inbox; whoever runs the driver has the shell take all of them and step once. Three threads
/// serve a node, and none of them waits for another's disk:
///
/// - the **step thread** steps the core, applies and reads rows; it sleeps until the core's next deadline;
/// - the **log thread** (`LogThread`) writes and syncs the log: one transaction and one fsync for all that has
///   gathered while it was busy;
/// - the **state thread** (`StateThread`) writes checkpoints, moves snapshots, collects old versions.
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
    private let sender: @Sendable (NodeFrame) -> Void
    private let inbox = Mutex(Inbox())
    private let calls = Mutex(Calls())
    private let published: Mutex<Catalog>
    private let led = Mutex<Set<RangeID>>([])
    private let found = Mutex<[Divergence]>([])
    private let wake = WakeSignal()
    /// Nobody runs the stopped node any more.
    private let released = WakeSignal()
    private let deadline = Atomic<Int64>(0)
    /// As of the last step.
    private let trust: Mutex<ClockTrust>
    let log: LogThread
    let state: StateThread
    /// Only the runner steps it.
    private let shell: NodeShell

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
        time: any TimeSource, timing: ShellTiming = ShellTiming(), logger: Logger,
        salvage: @escaping @Sendable (Salvage) throws -> Void = { _ in }, send: @escaping @Sendable (NodeFrame) -> Void
    ) throws {
        self.node = configuration.node
        self.time = time
        self.sender = send
        self.logger = logger
        if let lost { try Self.begin(lost, log, state) }
        shell = try NodeShell(
            configuration: configuration, log: log, state: state, timing: timing, now: time.now, salvage: salvage)
        published = Mutex(shell.core.catalog)
        trust = Mutex(shell.core.clockTrust)
        self.log = LogThread(shell.log)
        self.state = StateThread(shell.state)
        shell.attach(to: self)
    }

    private static func begin(_ life: Incarnation, _ log: any LogStore, _ state: any StateStore) throws {
        guard try log.load().isEmpty, try state.load().isEmpty else {
            throw MeridianError(.storageFailed, "a node that lost its disk must start with empty files")
        }
        try log.write([NodeCore.recoveryWrite(life)])
    }

    package func start() {
        log.start(for: self, send: sender)
        state.start(for: self)
        EngineThread.start("meridian.step.\(node)") { [self] in stepLoop() }
        // Timers run from the first step on.
        enqueue(.tick)
    }

    /// The tables and ranges that this node knows of.
    package var catalog: Catalog { published.withLock { $0 } }

    /// Log transactions written since the start, each with one fsync.
    package var logWriteCount: Int { shell.log.writeCount.load(ordering: .relaxed) }

    /// Replicas that this node as a leader has found to differ from the others, the last ones.
    package var divergences: [Divergence] { found.withLock { $0 } }

    /// What this node's clock says; unknown while the other nodes' clocks contradict it, or when it has jumped since
    /// the last step.
    package var clock: ClockInterval {
        // Read under the lock: it must not be older than the step's reading.
        trust.withLock { $0.clock(at: time.now()) }
    }

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

    /// Asks this node's gateway. Ends by the deadline at the latest.
    package func call(
        _ range: RangeID, _ body: GatewayCall.Body, deadline: Duration, mayBeRepeated: Bool
    ) async -> Answer {
        let at = Instant(rawValue: time.now().instant.rawValue).advanced(byNanoseconds: deadline.nanoseconds)
        return await withUnsafeContinuation { continuation in
            let id: GatewayRequestID? = calls.withLock { calls in
                guard !calls.isStopped else { return nil }
                calls.next += 1
                let id = GatewayRequestID(rawValue: calls.next)
                calls.continuations[id] = continuation
                return id
            }
            guard let id else {
                continuation.resume(returning: .failed(Self.shutDown(node, .notCommitted)))
                return
            }
            enqueue(
                .call(GatewayCall(id: id, range: range, body: body, deadline: at, mayBeRepeated: mayBeRepeated)))
        }
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
        var rounds = 0
        while true {
            if rounds >= limit, !shell.isToGoOn {
                handOver()
                return
            }
            rounds += 1
            // Only a look at whether there is anything to do: the shell reads the clock that the step goes by.
            let isDue = time.now().instant.rawValue >= deadline.load(ordering: .relaxed)
            guard isToRun(isDue || shell.isToGoOn) else { return }
            shell.begin()
            shell.finish()
            let next = shell.deadline.rawValue
            if next != deadline.exchange(next, ordering: .sequentiallyConsistent) { noteDeadline(next) }
        }
    }

    /// - Parameter isBusy: there is something to do besides the inbox's events.
    /// - Returns: `false` when there is nothing to do, or the node has stopped: nobody runs it any more.
    private func isToRun(_ isBusy: Bool) -> Bool {
        let phase: Phase = inbox.withLock { inbox in
            if case .running = inbox.phase {
                if isBusy || !inbox.events.isEmpty { return .running }
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
        state.stop(isCrash: isCrash)
        let waiting = calls.withLock { calls in
            calls.isStopped = true
            defer { calls.continuations = [:] }
            return calls.continuations.sorted { $0.key < $1.key }.map(\.value)
        }
        for continuation in waiting { continuation.resume(returning: .failed(Self.shutDown(node, .unknown))) }
    }
}

// MARK: - What the shell needs

extension NodeDriver: NodePort {
    package func takeEvents(_ events: inout [NodeEvent]) {
        inbox.withLock { inbox in
            if events.isEmpty {
                swap(&events, &inbox.events)
            } else {
                events.append(contentsOf: inbox.events)
                inbox.events.removeAll(keepingCapacity: true)
            }
        }
    }

    package func now() -> Moment { time.now() }
    package func send(_ frame: NodeFrame) { sender(frame) }
    package func logWaits() { log.wakeUp() }
    package func stateWaits() { state.wakeUp() }
    package func willStep(_ eventCount: Int) {}
    package func delays(_ results: [NodeEvent]) -> Bool { false }

    package func stepped(_ effects: borrowing NodeEffects, at moment: Moment) {
        trust.withLock { $0 = shell.core.clockTrust }
        if !effects.leaderships.isEmpty {
            led.withLock { led in
                for change in effects.leaderships {
                    if change.isHeld { led.insert(change.range) } else { led.remove(change.range) }
                }
            }
        }
        if !effects.divergences.isEmpty { report(effects.divergences) }
        if effects.directoryChanged { published.withLock { $0 = shell.core.catalog } }
    }

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

    private static var keptDivergences: Int { 100 }

    package func answer(_ answers: [GatewayAnswer]) {
        let waiting = calls.withLock { calls in
            answers.map { ($0.body, calls.continuations.removeValue(forKey: $0.id)) }
        }
        for (body, continuation) in waiting { continuation?.resume(returning: body) }
    }

    package func note(_ error: any Error, while activity: String) {
        logger.error("storage trouble", metadata: ["node": "\(node)", "while": "\(activity)", "error": "\(error)"])
    }
}
