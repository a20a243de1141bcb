import MeridianCore
import Synchronization

/// How far each copy of each active-active table has taken in what the others wrote, as this process knows it. What
/// counts after a restart stands in the copies' own rows (`IndexID.cursors`); this is fresher, and costs no commit.
package final class ConvergenceProgress: Sendable {
    struct Link: Hashable, Comparable {
        /// The range of the copy that pulls.
        var copy: RangeID
        /// The copy that it pulls from.
        var origin: TableID

        static func < (lhs: Link, rhs: Link) -> Bool { (lhs.copy, lhs.origin) < (rhs.copy, rhs.origin) }
    }

    private struct State {
        var cursors: [Link: Timestamp] = [:]
        var positions: [Link: Timestamp] = [:]
        var problems: [Link: MeridianError] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// All that the origin has committed up to here is in the copy.
    subscript(link: Link) -> Timestamp? { state.withLock { $0.cursors[link] } }

    func advance(_ link: Link, to cursor: Timestamp) {
        state.withLock { state in
            state.cursors[link] = max(cursor, state.cursors[link] ?? cursor)
            state.positions[link] = nil
            state.problems[link] = nil
        }
    }

    /// Where a pull that has not come to its end goes on, behind the cursor. It proves nothing (`CopyPuller`).
    func position(of link: Link) -> Timestamp? { state.withLock { $0.positions[link] } }
    func note(position: Timestamp, of link: Link) { state.withLock { $0.positions[link] = position } }

    func problem(of link: Link) -> MeridianError? { state.withLock { $0.problems[link] } }
    func note(_ problem: MeridianError, of link: Link) { state.withLock { $0.problems[link] = problem } }
}
