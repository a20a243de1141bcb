/// What operations do to when they run one after the other, as `OrderSearch` needs it: a state that can be taken back.
protocol SerialState {
    /// Lets an operation run next.
    ///
    /// - Returns: whether it can have seen what it saw; if not, nothing has changed.
    mutating func apply(_ operation: Int) -> Bool
    /// Takes back the operation that was applied last.
    mutating func revert(_ operation: Int)
    /// Whether running it now can hinder no other operation: it changes nothing, so it is best taken at once.
    func isHarmless(_ operation: Int) -> Bool
    /// All that the rest depends on, besides which operations have run.
    var fingerprint: Fingerprint { get }
}

/// The search for one order in which all operations can have run, where their dependencies alone do not decide it.
///
/// A cycle of dependencies refutes a history. The reverse does not hold where versions are not seen to follow one
/// another: to decide whether a history of registers is serializable is NP-complete (Papadimitriou, JACM 1979). So the
/// orders are tried, operation by operation, within the dependencies that are certain; of two ways to the same set of
/// operations with the same state only the first is followed (Wing and Gong 1993; Lowe 2017). Operations that end
/// first are tried first, which a history of a correct store follows almost without a turn.
struct OrderSearch<State: SerialState> {
    enum Outcome {
        case found
        /// No order exists. Those that come farthest end before one of these operations.
        case none(stuck: [Int])
        /// The limit was reached first.
        case exhausted
    }

    /// A place where there was a choice.
    private struct Choice {
        /// How many operations had run.
        let depth: Int
        let candidates: [Int32]
        var next = 0
    }

    private let graph: DependencyGraph
    private let operations: [Operation]
    private let level: DependencyGraph.Level
    /// Operations that must run; others may be left out.
    private let isRequired: [Bool]
    private var state: State
    /// Effort that is left: one for each operation that is looked at.
    private var budget: Int

    /// How many nodes must still run before each.
    private var waits: [Int32]
    /// Operations that wait for nothing, in no particular order.
    private var ready: [Int32] = []
    private var placeInReady: [Int32]
    /// Operations in the order in which they ran.
    private var order: [Int32] = []
    private var done = Fingerprint()
    private var requiredCount: Int
    private var choices: [Choice] = []
    private var visited: Set<Fingerprint> = []
    private var deepest = -1
    private var stuck: [Int] = []

    /// - Parameters:
    ///   - graph: what must come before what; sealed.
    ///   - level: its edges up to this one hold.
    ///   - isNode: by operation: whether it takes part.
    ///   - isRequired: by operation: whether it must run.
    ///   - limit: of operations that are looked at.
    init(
        _ graph: DependencyGraph, _ operations: [Operation], level: DependencyGraph.Level, isNode: [Bool],
        isRequired: [Bool], state: State, limit: Int
    ) {
        self.graph = graph
        self.operations = operations
        self.level = level
        self.isRequired = isRequired
        self.state = state
        budget = limit
        waits = [Int32](repeating: 0, count: graph.nodeCount)
        placeInReady = [Int32](repeating: -1, count: graph.operationCount)
        requiredCount = isRequired.count { $0 }
        for edge in graph.edges where edge.level <= level {
            precondition(edge.to >= graph.operationCount || isNode[Int(edge.to)], "operation \(edge.to) has no part")
            waits[Int(edge.to)] += 1
        }
        let free = (0..<Int32(graph.nodeCount)).filter { waits[Int($0)] == 0 }
        for node in free {
            if node >= graph.operationCount {
                release(node)
            } else if isNode[Int(node)] {
                insert(node)
            }
        }
    }

    mutating func run() -> Outcome {
        while true {
            takeHarmless()
            if requiredCount == 0 { return .found }
            guard budget > 0 else { return .exhausted }
            note()
            if let candidates = candidates() {
                choices.append(Choice(depth: order.count, candidates: candidates))
            }
            guard advance() else { return .none(stuck: stuck) }
        }
    }

    /// Goes on with the next candidate of the latest choice that has one.
    private mutating func advance() -> Bool {
        while let last = choices.indices.last {
            while order.count > choices[last].depth { undo() }
            while choices[last].next < choices[last].candidates.count {
                let candidate = choices[last].candidates[choices[last].next]
                choices[last].next += 1
                budget -= 1
                if run(candidate) { return true }
            }
            choices.removeLast()
        }
        return false
    }

    /// What may come next, those first that end first; nil where a way led before.
    private mutating func candidates() -> [Int32]? {
        budget -= ready.count
        if ready.count > 1, !visited.insert(done.combined(with: state.fingerprint)).inserted { return nil }
        return ready.sorted {
            let (one, other) = (operations[Int($0)], operations[Int($1)])
            return (one.end, one.start) < (other.end, other.start)
        }
    }

    private mutating func takeHarmless() {
        var didRun = true
        while didRun {
            didRun = false
            var place = 0
            while place < ready.count {
                let operation = ready[place]
                budget -= 1
                if state.isHarmless(Int(operation)), run(operation) { didRun = true } else { place += 1 }
            }
        }
    }

    private mutating func note() {
        guard order.count > deepest else { return }
        deepest = order.count
        stuck = ready.map(Int.init).filter { isRequired[$0] }.sorted()
    }

    // MARK: - Steps, forth and back

    private mutating func run(_ operation: Int32) -> Bool {
        guard state.apply(Int(operation)) else { return false }
        remove(operation)
        order.append(operation)
        done.toggle(UInt64(operation), 0)
        if isRequired[Int(operation)] { requiredCount -= 1 }
        release(operation)
        return true
    }

    private mutating func undo() {
        let operation = order.removeLast()
        withhold(operation)
        state.revert(Int(operation))
        done.toggle(UInt64(operation), 0)
        if isRequired[Int(operation)] { requiredCount += 1 }
        insert(operation)
    }

    /// What waited for a node waits for one less; helpers run by themselves.
    private mutating func release(_ node: Int32) {
        var open = [node]
        while let node = open.popLast() {
            for number in graph.edges(of: node) {
                let edge = graph.edges[Int(number)]
                guard edge.level <= level else { continue }
                waits[Int(edge.to)] -= 1
                guard waits[Int(edge.to)] == 0 else { continue }
                if edge.to < graph.operationCount { insert(edge.to) } else { open.append(edge.to) }
            }
        }
    }

    private mutating func withhold(_ node: Int32) {
        var open = [node]
        while let node = open.popLast() {
            for number in graph.edges(of: node) {
                let edge = graph.edges[Int(number)]
                guard edge.level <= level else { continue }
                if waits[Int(edge.to)] == 0 {
                    if edge.to < graph.operationCount { remove(edge.to) } else { open.append(edge.to) }
                }
                waits[Int(edge.to)] += 1
            }
        }
    }

    private mutating func insert(_ operation: Int32) {
        placeInReady[Int(operation)] = Int32(ready.count)
        ready.append(operation)
    }

    private mutating func remove(_ operation: Int32) {
        let place = Int(placeInReady[Int(operation)])
        precondition(place >= 0, "operation \(operation) is not ready")
        placeInReady[Int(operation)] = -1
        let last = ready.removeLast()
        guard last != operation else { return }
        ready[place] = last
        placeInReady[Int(last)] = Int32(place)
    }
}

/// A set of pairs as 128 bits, so that a configuration is remembered in little space. Two that are equal by it are
/// taken for the same: of ten million, two differ and collide with a probability below 10⁻²⁴.
struct Fingerprint: Hashable {
    private var high: UInt64 = 0
    private var low: UInt64 = 0

    init() {}

    /// Puts a pair in, or takes it out.
    mutating func toggle(_ one: UInt64, _ other: UInt64) {
        let seed = Self.mixed(one &+ 0x9E37_79B9_7F4A_7C15) ^ other
        high ^= Self.mixed(seed &+ 0xD1B5_4A32_D192_ED03)
        low ^= Self.mixed(seed ^ 0x8CB9_2BA7_2F3D_8DD7)
    }

    func combined(with other: Fingerprint) -> Fingerprint {
        var result = Fingerprint()
        result.high = Self.mixed(high) &+ other.high
        result.low = Self.mixed(low) &+ other.low
        return result
    }

    /// The finaliser of SplitMix64.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
