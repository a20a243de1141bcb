import MeridianCore
import Testing

@testable import MeridianConvergence

/// The join is one of a lattice also for records that are stripped, removable and erased, and on those that a stripped
/// one meets: for every state that a small world reaches, and for states that none does.
struct ForgettingLawTests {
    /// What two copies can do to a row. They settle and erase whenever they like, which no real copy does.
    private enum Step: CaseIterable {
        case write, writeOther, delete, deleteOther, strip, markRemovable, erase, send, sendBack
    }

    private struct World: Hashable {
        var mine: Record?
        var other: Record?
        var erasure = Timestamp.zero
        var time: Int64 = 0
        /// All states that there have been: of one history, so that a write has one name.
        var past: Set<Record> = []

        mutating func take(_ step: Step, _ table: TestTable) throws {
            time += 10
            let now = Timestamp(rawValue: time)
            switch step {
            case .write: mine = try Self.write(over: mine, by: 1, time, table, erasure)
            case .writeOther: other = try Self.write(over: other, by: 2, time, table, .zero)
            case .delete where mine?.isAlive == true: mine!.delete(by: Origin(1), at: now)
            case .deleteOther where other?.isAlive == true: other!.delete(by: Origin(2), at: now)
            case .strip where mine?.isAlive == false: _ = mine!.settle(.stripped)
            case .markRemovable where mine?.isAlive == false: _ = mine!.settle(.removable)
            case .erase: (mine, erasure) = (nil, now)
            case .send: other = Self.joined(other, mine, .zero, table)
            case .sendBack: mine = Self.joined(mine, other, erasure, table)
            default: break
            }
            past.formUnion([mine, other].compactMap { $0 })
        }

        private static func write(
            over earlier: Record?, by origin: UInt32, _ time: Int64, _ table: TestTable, _ erasure: Timestamp
        ) throws -> Record {
            let values = table.shape.fields.map { field -> Value in
                switch field.resolver {
                case .counter, .growOnlyCounter: .integer(time)
                case .addWinsSet, .growOnlySet: .text("[\(time)]")
                default: .integer(time)
                }
            }
            return try Record(
                writing: [.text("k")] + values, over: earlier, table.shape, by: Origin(origin),
                at: Timestamp(rawValue: time), erasedAt: erasure, name: "t")
        }

        private static func joined(
            _ mine: Record?, _ incoming: Record?, _ erasure: Timestamp, _ table: TestTable
        ) -> Record? {
            guard let incoming, incoming.erasure >= erasure else { return mine }
            return mine?.merged(with: incoming, table.shape) ?? incoming
        }
    }

    private static let table = TestTable(
        "all", [(1, .counter), (1, .addWinsSet), (1, .siblings), (1, .lastWriterWins)])

    /// All worlds of so many steps.
    private static func worlds(steps: Int) throws -> [[Record]] {
        var worlds: Set<World> = [World()]
        for _ in 0..<steps {
            var next: Set<World> = []
            for world in worlds {
                for step in Step.allCases {
                    var world = world
                    try world.take(step, table)
                    next.insert(world)
                }
            }
            worlds = next
        }
        return worlds.map { Array($0.past) }.filter { !$0.isEmpty }
    }

    /// All states of all worlds of so many steps.
    private static func states(steps: Int) throws -> Set<Record> { Set(try worlds(steps: steps).joined()) }

    @Test func theJoinOfAllStatesOfASmallWorldIsALattice() throws {
        let shape = Self.table.shape
        let worlds = try Self.worlds(steps: 4)
        let states = Set(worlds.joined())
        #expect(states.count > 50)
        #expect(states.contains { $0.life.settled == .removable } && states.contains { $0.erasure > .zero })
        for world in worlds {
            // Sets have no order, so the triples differ from run to run: the law holds for all.
            for (a, b) in zip(world, world.dropFirst() + world.prefix(1)) {
                let (ab, c) = (a.merged(with: b, shape), world[0])
                #expect(ab == b.merged(with: a, shape))
                #expect(ab.merged(with: b, shape) == ab && a.merged(with: ab, shape) == ab)
                #expect(ab.merged(with: c, shape) == a.merged(with: b.merged(with: c, shape), shape))
            }
        }
        for state in states { #expect(state.merged(with: state, shape) == state) }
    }

    /// A copy that has not taken the step brings nothing back, and hears of it.
    @Test func whatIsSettledIsAboveWhatIsNot() throws {
        let shape = Self.table.shape
        for state in try Self.states(steps: 4) where !state.isAlive {
            for settlement in [Record.Settlement.stripped, .removable] {
                var settled = state
                guard settled.settle(settlement) else { continue }
                #expect(state.merged(with: settled, shape) == settled && settled.merged(with: state, shape) == settled)
                let (before, after) = (try state.bytes(shape), try settled.bytes(shape))
                #expect(try RecordJoin.join(after, before, shape, name: "t").stored == nil)
                #expect(try RecordJoin.join(before, after, shape, name: "t").stored == after)
            }
        }
    }

    /// A copy that has forgotten a deletion does not take it for news.
    @Test func aDeletionThatAllHaveHadIsNoNewsToWhoHasForgottenIt() throws {
        let shape = Self.table.shape
        for state in try Self.states(steps: 3) where !state.isAlive {
            var removable = state
            _ = removable.settle(.removable)
            #expect(try RecordJoin.join(nil, removable.bytes(shape), shape, name: "t").stored == nil)
            guard state.life.settled < .removable else { continue }
            #expect(try RecordJoin.join(nil, state.bytes(shape), shape, name: "t").stored == state.bytes(shape))
        }
    }
}
