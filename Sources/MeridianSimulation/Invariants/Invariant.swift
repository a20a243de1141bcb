import MeridianCore
import MeridianReplica
import MeridianRuntime

/// A promise that is checked while the world runs. One file each, which says what is promised and who says so.
///
/// Checks run after every step of every node, so they look only at what the step changed.
protocol Invariant: AnyObject {
    /// What a report calls it.
    static var name: String { get }
    /// Which steps, and frames, can break it: others are not shown to it.
    static var interest: Interest { get }
    /// - Returns: how the promise was broken, if it was.
    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String?
    /// A node has started, with these files.
    func started(_ node: SimulatedNode)
    /// A node's process has ended.
    func stopped(_ node: SimulatedNode)
    /// A node's log has become durable. Told to those with an interest in `disks`.
    func written(_ node: SimulatedNode, _ writes: [LogWrite])
    /// A node's data was destroyed by a fault: what it held may be gone.
    func destroyed(_ node: SimulatedNode)
    /// Something is on its way. Told to those with an interest in `frames`.
    func sent(_ frame: NodeFrame) -> String?
    /// Called now and then, and at the end of the run.
    func compare(_ engine: Engine) -> String?
}

extension Invariant {
    func check(_ step: StepView, _ effects: borrowing NodeEffects, _ ledger: Ledger) -> String? { nil }
    func started(_ node: SimulatedNode) {}
    func stopped(_ node: SimulatedNode) {}
    func written(_ node: SimulatedNode, _ writes: [LogWrite]) {}
    func destroyed(_ node: SimulatedNode) {}
    func sent(_ frame: NodeFrame) -> String? { nil }
    func compare(_ engine: Engine) -> String? { nil }
}

/// What steps have to do with an invariant.
struct Interest: OptionSet {
    let rawValue: Int
    /// The step has worked on replicas.
    static let replicas = Interest(rawValue: 1)
    /// Committed entries go to the rows.
    static let commits = Interest(rawValue: 2)
    static let logWrites = Interest(rawValue: 4)
    static let leaderships = Interest(rawValue: 8)
    static let answers = Interest(rawValue: 16)
    /// Rows are asked for.
    static let reads = Interest(rawValue: 32)
    /// Every frame with messages goes to `sent`.
    static let frames = Interest(rawValue: 64)
    /// All that a disk acknowledges goes to `written`.
    static let disks = Interest(rawValue: 128)

    /// All that a step can be of interest by.
    static let ofSteps: Interest = [.replicas, .commits, .logWrites, .leaderships, .answers, .reads]
}

/// One step of one node, just after it. It is gone before what it names, and has no share in anybody's life: counting
/// them would cost more than most checks.
struct StepView {
    unowned(unsafe) let engine: Engine
    unowned(unsafe) let node: SimulatedNode
    unowned(unsafe) let core: RunningCore
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
