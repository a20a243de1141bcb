/// Takes a small world through *every* order of what can happen in it, breadth first, so that the first violation that
/// it meets has a shortest trace.
///
/// States are merged by their fingerprints and kept as hash and parent (`StateTable`). Of those that wait to be
/// expanded a part is kept whole; the others are made again from the root by their paths, which costs time instead of
/// memory. An exploration is *complete* when nothing waits any more: then no order within the world's bound breaks a
/// rule that the world checks, up to the hazard of equal hashes.
///
/// Explicit-state model checking is old (Holzmann's SPIN, Lamport's TLC); what is different here is that no model
/// stands between the check and the code: what is explored is what production runs.
package struct Explorer<World: ExplorableWorld> {
    private let root: World
    private let limits: ExplorationLimits
    private var table = StateTable()
    private var report = ExplorationReport()

    package init(_ root: World, limits: ExplorationLimits = ExplorationLimits()) {
        self.root = root
        self.limits = limits
    }

    /// - Parameter progress: is called with what has been reached before each transition; cheap, or it is the slowest
    ///   part.
    package mutating func run(progress: (borrowing ExplorationReport) -> Void = { _ in }) -> ExplorationReport {
        _ = table.insert(Self.hash(root), from: 0, by: 0)
        var layer: [(state: UInt32, world: World?)] = [(0, root)]
        while !layer.isEmpty {
            var next: [(state: UInt32, world: World?)] = []
            var held = 0
            for position in layer.indices {
                // What has been expanded is let go at once.
                let state = layer[position].state
                let world = layer[position].world.take() ?? remade(state)
                for (number, choice) in world.choices().enumerated() {
                    report.states = table.count
                    progress(report)
                    var successor = world
                    if report.transitions == limits.transitions {
                        report.trace = trace(to: state) + [choice.description]
                        return report
                    }
                    report.transitions += 1
                    if let violation = successor.take(choice) {
                        report.violation = violation
                        report.trace = trace(to: state) + [choice.description]
                        return report
                    }
                    guard let new = table.insert(Self.hash(successor), from: state, by: number) else { continue }
                    let isHeld = held < limits.heldWorlds
                    next.append((new, isHeld ? successor : nil))
                    if isHeld { held += 1 }
                    if table.count >= limits.states {
                        report.states = table.count
                        return report
                    }
                }
            }
            if !next.isEmpty { report.depth += 1 }
            layer = next
        }
        report.states = table.count
        report.isComplete = true
        return report
    }

    private static func hash(_ world: World) -> UInt64 {
        var hasher = Hasher()
        world.fingerprint(into: &hasher)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    private func remade(_ state: UInt32) -> World {
        var world = root
        for number in table.path(to: state) { _ = world.take(world.choices()[number]) }
        return world
    }

    private func trace(to state: UInt32) -> [String] {
        var world = root
        return table.path(to: state).map { number in
            let choice = world.choices()[number]
            defer { _ = world.take(choice) }
            return choice.description
        }
    }
}

/// What an exploration has come to.
package struct ExplorationReport: Sendable {
    /// Different states.
    package var states = 0
    package var transitions = 0
    /// The most choices on a shortest path to a state.
    package var depth = 0
    /// Nothing within the bound is left to be explored.
    package var isComplete = false
    package var violation: String?
    /// What happened up to the violation, or up to where the exploration was told to stop.
    package var trace: [String] = []
}

/// Where an exploration stops.
package struct ExplorationLimits: Sendable {
    package var states: Int
    /// Stop before this transition, with its trace: to show what led to an assertion, which ends the process.
    package var transitions: Int
    /// How many waiting states are kept whole.
    package var heldWorlds: Int

    package init(states: Int = .max, transitions: Int = .max, heldWorlds: Int = 200_000) {
        self.states = states
        self.transitions = transitions
        self.heldWorlds = heldWorlds
    }
}
