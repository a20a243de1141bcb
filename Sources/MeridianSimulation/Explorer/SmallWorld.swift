/// The small worlds and the bounds within which each is explored (docs/TESTING.md has what came of it).
package enum SmallWorld: String, CaseIterable, Sendable {
    /// One Raft group (`RaftWorld`).
    case raft

    package struct Part: Sendable {
        package var world: SmallWorld
        package var number: Int
        package var bound: String
    }

    /// A world with each of its bounds, the smallest first.
    package var parts: [Part] {
        switch self {
        case .raft:
            Self.raftBounds.enumerated().map { Part(world: self, number: $0.offset, bound: $0.element.description) }
        }
    }

    private static let raftBounds: [RaftWorld.Bound] = [
        .init(timeouts: 2, proposals: 1),
        .init(timeouts: 2, proposals: 1, crashes: 1),
        .init(timeouts: 2, change: .replacement),
        .init(timeouts: 2, change: .removal),
        .init(timeouts: 1, proposals: 1, generations: 1),
        .init(timeouts: 3, proposals: 2, crashes: 1),
    ]
}

extension SmallWorld.Part {
    /// Explores it, for the command line and the tests.
    /// - Parameter progress: states and transitions so far.
    package func explore(
        states: Int, transitions: Int = .max, progress: (_ states: Int, _ transitions: Int) -> Void = { _, _ in }
    ) -> ExplorationReport {
        switch world {
        case .raft:
            var explorer = Explorer(
                RaftWorld(SmallWorld.raftBound(number)), limits: .init(states: states, transitions: transitions))
            return explorer.run { progress($0.states, $0.transitions) }
        }
    }
}

extension SmallWorld {
    fileprivate static func raftBound(_ number: Int) -> RaftWorld.Bound { raftBounds[number] }
}
