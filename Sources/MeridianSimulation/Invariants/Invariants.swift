import MeridianCore
import MeridianReplica

/// All invariants together, and what they found.
final class Invariants {
    private let all: [any Invariant]
    private let ledger = Ledger()
    let pins: PinnedBytes
    private unowned let engine: Engine
    /// The first broken promise. The run ends with it: what comes after is consequence.
    private(set) var violation: Violation? {
        didSet { isBroken = violation != nil }
    }
    /// Asked for after every event.
    private(set) var isBroken = false
    private(set) var checkedSteps: UInt64 = 0

    private static let compareIntervalNanoseconds: Int64 = 30_000_000_000

    /// - Parameter clocksMayLie: then leases and real time are not promised.
    init(_ engine: Engine, clocksMayLie: Bool) {
        self.engine = engine
        pins = PinnedBytes(engine.topology) { [weak engine] in engine }
        var all: [any Invariant] = [
            ElectionSafety(), OneVote(), LogMatching(), LeaderCompleteness(), CurrentTermCommit(),
            StateMachineSafety(), CommittedDurability(), MonotonicState(), RequestsOnce(),
            ClosedTimestamps(checksPromises: !clocksMayLie), ReplicasEqual(), pins,
        ]
        if !clocksMayLie {
            let promises = PromisesKept { [weak engine] in engine?.trueTime }
            all += [SingleLease(), VisibleIsPast(), LocalReadsComplete(), promises] as [any Invariant]
        }
        self.all = all
        engine.onStep = { [unowned self] node, effects, moment in check(node, effects, moment) }
        engine.onStart = { [unowned self] node in for invariant in self.all { invariant.started(node) } }
        engine.onStop = { [unowned self] node in for invariant in self.all { invariant.stopped(node) } }
        engine.onDestroyed = { [unowned self] node in for invariant in self.all { invariant.destroyed(node) } }
        engine.onLogWritten = { [unowned self] node, writes in
            for invariant in self.all { invariant.written(node, writes) }
        }
        engine.onFrame = { [unowned self] frame in
            guard !frame.messages.isEmpty else { return }
            for invariant in self.all {
                if let text = invariant.sent(frame) { return report(type(of: invariant).name, text) }
            }
        }
        scheduleCompare()
    }

    private func check(_ node: SimulatedNode, _ effects: NodeEffects, _ moment: Moment) {
        guard !isBroken, let core = node.core else { return }
        checkedSteps += 1
        if core.flushed.isEmpty, effects.answers.isEmpty, effects.applies.isEmpty { return }
        let step = StepView(engine: engine, node: node, effects: effects, moment: moment, slots: core.flushed)
        ledger.observe(step)
        for invariant in all {
            if let text = invariant.check(step, ledger) {
                report(type(of: invariant).name, text)
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
        engine.after(Self.compareIntervalNanoseconds) { [weak self] in
            self?.compare()
            self?.scheduleCompare()
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
