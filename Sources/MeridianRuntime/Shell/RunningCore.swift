import MeridianClock
import MeridianConsensus
import MeridianCore
import MeridianReplica

/// The core of a running process, behind a reference. `NodeCore` is a large value; whoever watches a node after every
/// step looks at it in place. It lies behind a pointer and not in a property, because the compiler copies a whole value
/// out of a class before it calls a method that does not change it.
package final class RunningCore {
    private let core: UnsafeMutablePointer<NodeCore>

    package init(_ core: consuming NodeCore) {
        self.core = .allocate(capacity: 1)
        self.core.initialize(to: core)
    }

    deinit {
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// The whole value, for tests.
    package var value: NodeCore {
        _read { yield core.pointee }
        _modify { yield &core.pointee }
    }

    package func step(_ events: [NodeEvent], at moment: Moment) -> NodeEffects? {
        core.pointee.step(events, at: moment)
    }
    package var deadline: Instant { core.pointee.deadline }

    package func slot(of range: RangeID) -> Int? { core.pointee.slots[range] }
    /// The replicas that the last step worked on.
    package var flushed: [Int] { core.pointee.flushed }

    package var replicas: [Replica] {
        _read { yield core.pointee.replicas }
    }

    package var isClockTrusted: Bool { core.pointee.isClockTrusted }
    package var clockTrust: ClockTrust { core.pointee.clockTrust }

    /// Why the node cannot write.
    package var failure: MeridianError? { core.pointee.failure }

    package var catalog: Catalog {
        _read { yield core.pointee.catalog }
    }
}
