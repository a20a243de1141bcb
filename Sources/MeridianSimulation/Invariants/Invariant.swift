import MeridianCore
import MeridianReplica

/// A promise that is checked while the world runs. One file each, which says what is promised and who says so.
///
/// Checks run after every step of every node, so they look only at what the step changed.
protocol Invariant: AnyObject {
    /// What a report calls it.
    static var name: String { get }
    /// - Returns: how the promise was broken, if it was.
    func check(_ step: StepView, _ ledger: Ledger) -> String?
    /// A node has started, with these files.
    func started(_ node: SimulatedNode)
    /// A node's process has ended.
    func stopped(_ node: SimulatedNode)
    /// A node's log has become durable.
    func written(_ node: SimulatedNode, _ writes: [LogWrite])
    /// A node's data was destroyed by a fault: what it held may be gone.
    func destroyed(_ node: SimulatedNode)
    /// Something is on its way.
    func sent(_ frame: NodeFrame) -> String?
    /// Called now and then, and at the end of the run.
    func compare(_ engine: Engine) -> String?
}

extension Invariant {
    func check(_ step: StepView, _ ledger: Ledger) -> String? { nil }
    func started(_ node: SimulatedNode) {}
    func stopped(_ node: SimulatedNode) {}
    func written(_ node: SimulatedNode, _ writes: [LogWrite]) {}
    func destroyed(_ node: SimulatedNode) {}
    func sent(_ frame: NodeFrame) -> String? { nil }
    func compare(_ engine: Engine) -> String? { nil }
}

/// One step of one node, just after it.
struct StepView {
    let engine: Engine
    let node: SimulatedNode
    let effects: NodeEffects
    let moment: Moment
    /// The slots of the replicas that the step worked on.
    let slots: [Int]
}

/// A broken promise: what was promised, how it was broken, and when.
public struct Violation: Sendable, Hashable, CustomStringConvertible {
    public var rule: String
    public var text: String
    /// Virtual time since the start of the world.
    public var time: Duration

    public var description: String { "\(rule): \(text) (at \(time.seconds) s)" }
}

extension Duration {
    /// Seconds with three digits after the point.
    var seconds: String {
        let milliseconds = nanoseconds / 1_000_000
        let rest = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }
}
