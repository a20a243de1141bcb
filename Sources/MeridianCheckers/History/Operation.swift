/// One operation of a history: its invocation and, if there is one, its completion, joined.
public struct Operation: Sendable, Identifiable {
    /// How it ended, as far as its process learnt.
    public enum Outcome: UInt8, Sendable {
        case ok
        case fail
        /// Unknown; so are operations that have no completion.
        case info
    }

    /// Its place in `History.operations`.
    public let id: Int
    public let process: Int
    public internal(set) var outcome = Outcome.info
    /// `index` of the event that invoked it.
    public let index: Int
    /// `index` of the event that completed it, if it was completed.
    public internal(set) var completionIndex: Int?
    /// Nanoseconds.
    public let invokedAt: Int
    /// Nanoseconds.
    public internal(set) var completedAt: Int?

    /// Position of the invocation among all events. Real-time order is the order of positions: the recorder saw the
    /// events in it, and two events can share a time.
    let start: Int
    /// Position of the completion; `Operation.never` unless it is ok or failed. What is unknown can happen any time.
    var end = Operation.never
    let regionID: Int32
    var firstStep: Int
    var stepCount: Int32

    static let never = Int.max

    /// Whether it ended before `other` began.
    func precedes(_ other: Operation) -> Bool { end < other.start }

    /// Indexes into `History.steps`.
    var steps: Range<Int> { firstStep..<firstStep + Int(stepCount) }
}

/// One step of an operation, packed: a million transactions are a few flat arrays instead of millions of small ones.
struct Step {
    enum Action: UInt8 {
        case append, readList, write, read, compareAndSet, transfer, balances, add, elements
    }

    var action: Action
    /// Whether a read has no value: unknown in an invocation, nothing found in a completion.
    var isNull = false
    /// Number of elements or of pairs of account and balance.
    var count: Int32 = 0
    /// Of the key or the paying account, see `History.keys`.
    var key: Int32 = 0
    /// Of the paid account.
    var otherKey: Int32 = 0
    /// What is written, read, added or paid.
    var value = 0
    /// What a compare-and-set expects, `Step.nothing` for nil; the first element of a list in `History.elements`.
    var other = 0

    static let nothing = Int.min

    var isRead: Bool { action == .readList || action == .read || action == .balances || action == .elements }
    var list: Range<Int> { other..<other + Int(count) }
    /// Value of a register, as one number.
    var observed: Int { isNull ? Step.nothing : value }
}
