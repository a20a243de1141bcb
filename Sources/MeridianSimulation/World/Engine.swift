import MeridianClock
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianRuntime
import MeridianStorage

/// The simulated world at work: nodes, links, disks and clocks in virtual time, one event after the other on one
/// thread. It runs the production's shell (`NodeShell`), with delays and faults in the place of threads and files: what
/// a driver's threads do beside each other happens here at moments that the seed draws.
///
/// Every source of entropy is derived from the seed (docs/TESTING.md lists them); each has a generator of its own, so
/// that one more draw in one place does not change all the others.
final class Engine {
    struct Timing {
        /// A log write takes from half of this to one and a half times it, in nanoseconds.
        var diskNanoseconds: Int64 = 200_000
        /// How long a request to the rows takes at most when it does not end at once, in nanoseconds.
        var evaluationNanoseconds: Int64 = 0
        var collectionIntervalNanoseconds: Int64 = 5_000_000_000
        var snapshotChunkBytes = 1 << 16
        /// How long a process takes to start again.
        var startNanoseconds: Int64 = 20_000_000
    }

    let topology: Topology
    let seed: UInt64
    var timing: Timing
    /// What the nodes of this world are configured with. Drawn from the seed, so that rare paths, such as snapshots for
    /// followers that lag a little, are common in some worlds.
    struct NodeSettings {
        var retainedLogEntries: UInt64
        var quiesceAfterNanoseconds: Int64
        var maximumEntriesPerMessage: Int
        /// By node. In some worlds they differ, as while a new setting is rolled out: safety rests on none of them.
        var electionTimeoutNanoseconds: [Int64]
        /// In some worlds followers lose patience long before a lease ends.
        var leaseExtensionNanoseconds: Int64
        var retentionNanoseconds: Int64
        /// A checkpoint takes up to this long.
        var checkpointNanoseconds: Int64
        /// As does what needs the rows for itself: an install, a slice of collection.
        var exclusiveNanoseconds: Int64
        /// By node: how often checkpoints are written.
        var checkpointIntervalNanoseconds: [Int64]

        init(seed: UInt64, nodeCount: Int) {
            var random = SplitMix64(seed: seed ^ 0x7365_7474_696E_6773)
            retainedLogEntries = [1, 4, 64, 4096][Int(random.below(4))]
            quiesceAfterNanoseconds = [300_000_000, 1_000_000_000, 5_000_000_000][Int(random.below(3))]
            leaseExtensionNanoseconds = [0, 0, 100_000_000, 400_000_000][Int(random.below(4))]
            let timeouts: [Int64] = random.below(3) == 0 ? [300, 300, 500, 900] : [300]
            electionTimeoutNanoseconds = (0..<nodeCount).map { _ in
                timeouts[Int(random.below(UInt64(timeouts.count)))] * 1_000_000
            }
            maximumEntriesPerMessage = [1, 3, 1024][Int(random.below(3))]
            retentionNanoseconds = [15_000_000_000, 60_000_000_000][Int(random.below(2))]
            checkpointNanoseconds = [1_000_000, 100_000_000, 2_000_000_000][Int(random.below(3))]
            exclusiveNanoseconds = [200_000, 10_000_000, 500_000_000][Int(random.below(3))]
            checkpointIntervalNanoseconds = (0..<nodeCount).map { _ in
                1_000_000_000 + Int64(random.below(2_000_000_000))
            }
        }
    }

    let settings: NodeSettings
    /// What the laws ask, as every node is told.
    let rules: JurisdictionRules
    /// True time since the start of the world, in nanoseconds.
    private(set) var now: Int64 = 0
    private let queue = EventQueue()
    let nodes: [SimulatedNode]
    let network: Network
    var hash = EventHash()
    private var random: SplitMix64
    var stepCount: UInt64 = 0
    /// What leaders have found by comparing digests.
    private(set) var divergences: [Divergence] = []
    private var nextCall: UInt64 = 0

    // Who watches.
    var invariants: Invariants?
    var onAnswer: ((SimulatedNode, GatewayAnswer) -> Void)?
    /// Calls that the process had taken will not be answered.
    var onProcessEnd: ((SimulatedNode) -> Void)?
    /// A node that cannot start, and why.
    var onFailedStart: ((SimulatedNode, MeridianError) -> Void)?
    /// Called with a line for each event while a trace is wanted.
    var trace: ((String) -> Void)?

    /// The true time at the start of every world: 2026-01-01.
    static let origin = Timestamp(rawValue: 1_767_225_600_000_000_000)
    var trueTime: Timestamp { Timestamp(rawValue: Self.origin.rawValue + now) }

    init(
        seed: UInt64, topology: Topology, timing: Timing, clock: SimulatedClock.Configuration,
        rules: JurisdictionRules = .none, storage: (NodeDescriptor, UInt64) -> any NodeStorage
    ) {
        self.seed = seed
        self.topology = topology
        self.timing = timing
        self.rules = rules
        settings = NodeSettings(seed: seed, nodeCount: topology.nodes.count)
        var seeds = SplitMix64(seed: seed ^ 0x656E_6769_6E65)
        network = Network(topology, random: SplitMix64(seed: seeds.next()))
        random = SplitMix64(seed: seeds.next())
        nodes = topology.nodes.enumerated().map { position, descriptor in
            SimulatedNode(
                position: position, descriptor: descriptor, storage: storage(descriptor, seeds.next()),
                clock: SimulatedClock(seed: seeds.next(), configuration: clock, origin: Self.origin))
        }
        for node in nodes { node.engine = self }
    }

    // MARK: Time

    func schedule(_ event: SimulatedEvent, after delay: Int64) { queue.insert(event, at: now + max(0, delay)) }
    func after(_ delay: Int64, _ body: @escaping () -> Void) { schedule(.run(body), after: delay) }

    /// A number below a limit, from the world's own generator.
    func below(_ limit: Int64) -> Int64 { Int64(random.below(UInt64(max(1, limit)))) }

    var nextEventTime: Int64? { queue.nextTime }

    /// Lets the next thing happen, if it is due by a time; else time passes up to there.
    /// - Returns: whether anything happened.
    func runOne(until end: Int64) -> Bool {
        guard let next = queue.nextTime, next <= end else {
            now = max(now, end)
            return false
        }
        now = next
        perform(queue.removeFirst())
        return true
    }

    private func perform(_ event: consuming SimulatedEvent) {
        switch consume event {
        case .wake(let position, let incarnation):
            let node = nodes[position]
            guard node.incarnation == incarnation, node.wakeAt == now else { return }
            node.wakeAt = .max
            node.wakeFor = .distantFuture
            guard !node.isPaused else { return }
            // The deadline can have moved away since.
            if let shell = node.shell, moment(node).instant < shell.deadline {
                scheduleWake(node, shell)
            } else {
                run(node)
            }
        case .deliver(let frame, let link, let epoch):
            guard network.epoch(link) == epoch, !network.isCut(link) else { return network.noteCut() }
            let node = nodes[Int(frame.to.rawValue) - 1]
            guard node.isRunning else { return }
            if let trace, !frame.messages.isEmpty { trace("\(frame.to) receives \(frame.traceDescription)") }
            give(node, .frame(frame))
        case .logWritten(let position, let incarnation):
            let node = nodes[position]
            guard node.incarnation == incarnation else { return }
            logWritten(node)
        case .completed(let position, let incarnation, let events):
            let node = nodes[position]
            guard node.incarnation == incarnation else { return }
            give(node, events)
        case .stateWorked(let position, let incarnation, let work):
            let node = nodes[position]
            guard node.incarnation == incarnation else { return }
            stateWorked(node, work)
        case .stateEnded(let position, let incarnation, let work, let outcome):
            let node = nodes[position]
            guard node.incarnation == incarnation else { return }
            stateEnded(node, work, outcome)
        case .heldUp(let position, let incarnation):
            let node = nodes[position]
            guard node.incarnation == incarnation else { return }
            goOn(node)
        case .resume(let position, let incarnation):
            let node = nodes[position]
            guard node.incarnation == incarnation, now >= node.pausedUntil else { return }
            resume(node)
        case .run(let body):
            body()
        }
    }

    func moment(_ node: SimulatedNode) -> Moment { node.moment(at: trueTime) }

    /// The world ends. What is to happen and who watches hold the world, so they are let go.
    func end() {
        queue.removeAll()
        invariants = nil
        (onAnswer, onProcessEnd, onFailedStart, trace) = (nil, nil, nil, nil)
        for node in nodes { node.forgetProcess() }
    }

    // MARK: Processes

    func start(_ node: SimulatedNode) {
        guard !node.isRunning else { return }
        var configuration = NodeConfiguration(
            node: node.id, topology: topology,
            seed: seed ^ (UInt64(node.id.rawValue) &* 0xD6E8_FEB8_6659_FD93) &+ UInt64(node.incarnation))
        configuration.retainedLogEntries = settings.retainedLogEntries
        configuration.quiesceAfterNanoseconds = settings.quiesceAfterNanoseconds
        configuration.electionTimeoutNanoseconds = settings.electionTimeoutNanoseconds[node.position]
        configuration.leaseExtensionNanoseconds = settings.leaseExtensionNanoseconds
        configuration.maximumEntriesPerMessage = settings.maximumEntriesPerMessage
        configuration.retentionNanoseconds = settings.retentionNanoseconds
        configuration.rules = rules
        node.incarnation += 1
        do {
            let (log, state) = try node.storage.open()
            var shellTiming = ShellTiming()
            shellTiming.checkpointNanoseconds = settings.checkpointIntervalNanoseconds[node.position]
            shellTiming.collectionNanoseconds = timing.collectionIntervalNanoseconds
            shellTiming.inspectionNanoseconds = timing.collectionIntervalNanoseconds
            shellTiming.inspectionPauseNanoseconds = timing.collectionIntervalNanoseconds
            shellTiming.inspectedCount = 100
            shellTiming.snapshotChunkByteCount = timing.snapshotChunkBytes
            let shell = try NodeShell(
                configuration: configuration, log: log, state: state, timing: shellTiming, now: { moment(node) },
                salvage: { [unowned self] in keep($0, node) })
            shell.attach(to: node)
            node.run(shell)
        } catch {
            node.forgetProcess()
            let cause = error as? MeridianError ?? MeridianError(.storageFailed, "\(error)")
            trace?("\(node.id) cannot start: \(cause)")
            onFailedStart?(node, cause)
            return
        }
        hash.note(1, now, UInt64(node.position))
        trace?("\(node.id) starts")
        invariants?.started(node)
        give(node, .tick)
    }

    /// The process dies, and its machine loses power: what the disk has not synced is gone or torn.
    func crash(_ node: SimulatedNode) {
        guard node.isRunning else { return }
        hash.note(2, now, UInt64(node.position))
        trace?("\(node.id) crashes")
        // What was being written has reached the disk, or not.
        if let log = node.shell?.log, !log.batch.isEmpty, below(2) == 0 { try? log.store.write(log.batch) }
        invariants?.stopped(node)
        node.forgetProcess()
        onProcessEnd?(node)
        node.storage.powerOff()
        for other in nodes where other !== node {
            network.reset(from: node.position, to: other.position)
            network.reset(from: other.position, to: node.position)
        }
    }

    /// The process ends in good order.
    func stop(_ node: SimulatedNode) {
        guard node.isRunning else { return }
        hash.note(3, now, UInt64(node.position))
        trace?("\(node.id) stops")
        _ = try? node.state?.checkpoint()
        try? node.log?.checkpoint()
        invariants?.stopped(node)
        try? node.state?.close()
        try? node.log?.close()
        node.forgetProcess()
        onProcessEnd?(node)
        node.storage.close()
    }

    /// The process stands still, as under SIGSTOP or while its machine moves; its clocks go on.
    func pause(_ node: SimulatedNode, nanoseconds: Int64) {
        guard node.isRunning else { return }
        trace?("\(node.id) pauses")
        node.isPaused = true
        node.pausedUntil = max(node.pausedUntil, now + nanoseconds)
        schedule(.resume(node: node.position, incarnation: node.incarnation), after: node.pausedUntil - now)
    }

    /// A paused process goes on with what has come for it.
    func resume(_ node: SimulatedNode) {
        guard node.isPaused else { return }
        node.isPaused = false
        node.pausedUntil = 0
        trace?("\(node.id) runs again")
        run(node)
    }

    /// The machine comes back with an empty disk.
    func replace(_ node: SimulatedNode) {
        var generator = SplitMix64(seed: UInt64(truncatingIfNeeded: below(.max)))
        node.storage.wipe(beginning: Incarnation(using: &generator))
        invariants?.destroyed(node)
        trace?("\(node.id) is replaced")
        start(node)
    }

    /// Names a gateway call; unique in the world, so that no life of a node meets an earlier one's.
    func takeCallNumber() -> UInt64 {
        nextCall += 1
        return nextCall
    }

    // MARK: Steps

    func give(_ node: SimulatedNode, _ event: consuming NodeEvent) {
        guard node.isRunning else { return }
        node.inbox.append(event)
        node.cameAt = trueTime
        run(node)
    }

    func give(_ node: SimulatedNode, _ events: [NodeEvent]) {
        guard node.isRunning else { return }
        node.inbox.append(contentsOf: events)
        node.cameAt = trueTime
        run(node)
    }

    /// Steps a node with what has come for it, and with what that brings about at once; or begins to.
    func run(_ node: SimulatedNode) {
        guard let shell = node.shell, !node.isPaused, !node.isHeldUp else { return }
        repeat {
            shell.begin()
            if node.holdUp != nil, isHeldUp(node) { return }
            shell.finish()
        } while (shell.isToGoOn || !node.inbox.isEmpty) && node.shell === shell
        if node.shell === shell { scheduleWake(node, shell) }
    }

    /// Whether the thread that steps the node is preempted now, between the reading of its clocks and the step.
    private func isHeldUp(_ node: SimulatedNode) -> Bool {
        guard var holdUp = node.holdUp, holdUp.random.below(4) == 0 else { return false }
        let delay = 1 + Int64(holdUp.random.below(UInt64(holdUp.nanoseconds)))
        node.holdUp = holdUp
        node.isHeldUp = true
        schedule(.heldUp(node: node.position, incarnation: node.incarnation), after: delay)
        return true
    }

    private func goOn(_ node: SimulatedNode) {
        guard !node.isPaused else {
            return schedule(
                .heldUp(node: node.position, incarnation: node.incarnation), after: max(1, node.pausedUntil - now))
        }
        node.isHeldUp = false
        node.shell?.finish()
        run(node)
    }

    /// Most deadlines only move away, so an event that is early enough stays: it will see for itself.
    private func scheduleWake(_ node: SimulatedNode, _ shell: NodeShell) {
        guard shell.deadline < node.wakeFor else { return }
        let wait = shell.deadline.rawValue - moment(node).instant.rawValue
        // The node's instants can run slower than true time; a little late is harmless, too early is wasted.
        let at = now + max(1_000, wait + wait / 2_048)
        node.wakeAt = at
        node.wakeFor = shell.deadline
        queue.insert(.wake(node: node.position, incarnation: node.incarnation), at: at)
    }

    /// Replicas never differ but by a fault that has changed their rows.
    func note(_ divergence: Divergence, foundBy node: SimulatedNode) {
        trace?(
            "\(node.id) finds that \(divergence.range) of \(divergence.node) differs at \(divergence.index) from "
                + "\(divergence.agreeing)")
        divergences.append(divergence)
        let accused = nodes[Int(divergence.node.rawValue) - 1]
        guard !accused.rotten.contains(divergence.range), !accused.hasDamagedFiles else { return }
        invariants?.report(
            "replicas are equal by their own digests",
            "\(divergence.range): \(divergence.node) differs at \(divergence.index) from \(divergence.agreeing)")
    }

    func send(_ frame: consuming NodeFrame) {
        if !frame.messages.isEmpty { invariants?.sent(frame) }
        let link = network.link(from: Int(frame.from.rawValue) - 1, to: Int(frame.to.rawValue) - 1)
        let (first, second) = network.route(frame, link: link, at: now)
        guard let first else { return }
        let epoch = network.epoch(link)
        if let second {
            let double = frame
            queue.insert(.deliver(frame, link: link, epoch: epoch), at: first)
            queue.insert(.deliver(double, link: link, epoch: epoch), at: second)
        } else {
            queue.insert(.deliver(frame, link: link, epoch: epoch), at: first)
        }
    }
}
