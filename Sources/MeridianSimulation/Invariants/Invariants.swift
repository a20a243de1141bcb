import MeridianCore
import MeridianReplica
import MeridianRuntime

/// All invariants together, and what they found.
final class Invariants {
    private let all: [any Invariant]
    /// An element of `all`, without a share in its life: counting them would cost more than most checks.
    private struct Watcher {
        unowned(unsafe) let invariant: any Invariant
    }
    /// Who looks at a step, by what it is of interest by (`Interest.rawValue`).
    private let interested: [[Watcher]]
    private let frameWatchers: [Watcher]
    private let diskWatchers: [Watcher]
    private let ledger = Ledger()
    let pins: PinnedBytes
    /// It holds this object as long as it calls it.
    private unowned(unsafe) let engine: Engine
    /// The first broken promise. The run ends with it: what comes after is consequence.
    private(set) var violation: Violation? {
        didSet { isBroken = violation != nil }
    }
    /// Asked for after every event.
    private(set) var isBroken = false

    private static let compareIntervalNanoseconds: Int64 = 30_000_000_000

    /// - Parameter clocksMayLie: then leases and real time are not promised.
    init(_ engine: Engine, clocksMayLie: Bool) {
        self.engine = engine
        pins = PinnedBytes(engine)
        var all: [any Invariant] = [
            ElectionSafety(), OneVote(), LogMatching(), LeaderCompleteness(), CurrentTermCommit(),
            StateMachineSafety(), CommittedDurability(), MonotonicState(), RequestsOnce(),
            ClosedTimestamps(checksPromises: !clocksMayLie), ReplicasEqual(), pins,
        ]
        if !clocksMayLie {
            all +=
                [FreshClock(), SingleLease(), VisibleIsPast(), LocalReadsComplete(), PromisesKept(engine)]
                as [any Invariant]
        }
        self.all = all
        interested = (0...Interest.ofSteps.rawValue).map { found in
            all.filter { !type(of: $0).interest.isDisjoint(with: Interest(rawValue: found)) }.map(Watcher.init)
        }
        frameWatchers = all.filter { type(of: $0).interest.contains(.frames) }.map(Watcher.init)
        diskWatchers = all.filter { type(of: $0).interest.contains(.disks) }.map(Watcher.init)
        engine.invariants = self
        scheduleCompare()
    }

    func started(_ node: SimulatedNode) { for invariant in all { invariant.started(node) } }
    func stopped(_ node: SimulatedNode) { for invariant in all { invariant.stopped(node) } }
    /// A fault has destroyed data of a node.
    func destroyed(_ node: SimulatedNode) { for invariant in all { invariant.destroyed(node) } }
    /// The disk has acknowledged these.
    func written(_ node: SimulatedNode, _ writes: [LogWrite]) {
        for watcher in diskWatchers { watcher.invariant.written(node, writes) }
    }

    func sent(_ frame: NodeFrame) {
        for watcher in frameWatchers {
            if let text = watcher.invariant.sent(frame) { return report(type(of: watcher.invariant).name, text) }
        }
    }

    func check(_ node: SimulatedNode, _ core: RunningCore, _ effects: borrowing NodeEffects, _ moment: Moment) {
        guard !isBroken else { return }
        var found: Interest = []
        if !core.flushed.isEmpty { found.insert(.replicas) }
        if !effects.applies.isEmpty { found.insert(.commits) }
        if !effects.log.writes.isEmpty { found.insert(.logWrites) }
        if !effects.leaderships.isEmpty { found.insert(.leaderships) }
        if !effects.answers.isEmpty { found.insert(.answers) }
        if !effects.evaluations.isEmpty { found.insert(.reads) }
        guard !found.isEmpty else { return }
        let step = StepView(engine: engine, node: node, core: core, moment: moment, slots: core.flushed)
        if found.contains(.commits) { ledger.observe(step, effects) }
        for watcher in interested[found.rawValue] {
            if let text = watcher.invariant.check(step, effects, ledger) {
                report(type(of: watcher.invariant).name, text)
                return
            }
        }
    }

    func compare() {
        for invariant in all where violation == nil {
            if let text = invariant.compare(engine) { report(type(of: invariant).name, text) }
        }
    }

    private func scheduleCompare() {
        engine.after(Self.compareIntervalNanoseconds) { [unowned self] in
            compare()
            scheduleCompare()
        }
    }

    func report(_ rule: String, _ text: String) {
        guard violation == nil else { return }
        violation = Violation(rule: rule, text: text, time: .nanoseconds(engine.now))
        engine.trace?("VIOLATION of \(rule): \(text)")
        if let trace = engine.trace { for line in engine.statusLines { trace(line) } }
    }

    /// What was committed, for workloads that compare what clients were told with it.
    var committed: Ledger { ledger }
}
