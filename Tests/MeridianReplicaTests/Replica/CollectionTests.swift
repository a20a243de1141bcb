import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianStorage
import MeridianTransactions
import Testing

@testable import MeridianReplica

/// The threshold below which old versions are collected, as a command in the log.
@Suite struct CollectionTests {
    private static let second: Int64 = 1_000_000_000

    /// - Parameter retention: in seconds; thresholds rise four times in it.
    private func serving(retention: Int64 = 4, quiesceAfter: Int64 = 60) throws -> (World, Clients, leader: Int) {
        var settings = World.Settings()
        settings.retentionNanoseconds = retention * Self.second
        settings.quiesceAfterNanoseconds = quiesceAfter * Self.second
        let world = try World(seed: 1, settings)
        let clients = Clients(world)
        try write(world, clients)
        return (world, clients, try #require(world.leader))
    }

    private func write(_ world: World, _ clients: Clients) throws {
        let number = clients.start(.write, World.key(0))
        try #require(world.run(milliseconds: 3000, until: { clients.operations[number].outcome != nil }))
    }

    private func thresholds(_ world: World) throws -> [Timestamp] {
        try world.nodes.indices.map { try #require(world.replica($0)).dispatched.threshold }
    }

    private func age(_ threshold: Timestamp, _ world: World) -> Int64 {
        World.base + world.now - threshold.rawValue
    }

    @Test func everyReplicaAppliesTheSameThreshold() throws {
        let (world, clients, _) = try serving()
        world.run(milliseconds: 8_000)
        try write(world, clients)
        world.run(milliseconds: 500)
        let thresholds = try thresholds(world)
        #expect(Set(thresholds).count == 1)
        let age = age(thresholds[0], world)
        #expect(age >= 4 * Self.second && age < 7 * Self.second, "\(age) ns")
        for position in world.nodes.indices {
            #expect(world.nodes[position].state.load()[World.data]?.threshold == thresholds[position])
        }
    }

    @Test func theThresholdNeverFallsAndNeverPassesTheRetention() throws {
        let (world, clients, leader) = try serving()
        var last: [Timestamp] = try thresholds(world)
        for round in 0..<40 {
            world.run(milliseconds: 300)
            if round % 5 == 0 { try write(world, clients) }
            if round == 20 { world.crash(leader) }
            if round == 24 { world.start(leader) }
            for position in world.nodes.indices {
                guard let replica = world.replica(position) else { continue }
                let threshold = replica.dispatched.threshold
                if position != leader { #expect(threshold >= last[position]) }
                last[position] = threshold
                #expect(threshold <= max(.zero, replica.closed.newest))
                if threshold > .zero { #expect(age(threshold, world) >= 4 * Self.second) }
            }
        }
        #expect(world.failures.isEmpty)
    }

    /// The clock of a node that others outvote moves no threshold, neither its own replica's nor anybody's.
    @Test(arguments: [Int64(3_600), -3_600]) func anOutvotedClockCollectsNothing(_ seconds: Int64) throws {
        let (world, clients, leader) = try serving(retention: 60)
        world.run(milliseconds: 2_000)
        world.nodes[leader].clockOffset = seconds * Self.second
        for _ in 0..<20 {
            world.run(milliseconds: 500)
            for threshold in try thresholds(world) where threshold > .zero {
                #expect(age(threshold, world) >= 60 * Self.second)
            }
        }
        _ = clients
    }

    /// A clock that jumps ahead is not believed before the next comparison, in which it is found out.
    @Test func aReadingThatNobodyHasVouchedForMovesNothing() throws {
        let (world, _, leader) = try serving()
        world.run(milliseconds: 3_000)
        let core = try #require(world.nodes[leader].core)
        let vouched = try #require(core.vouchedTime)
        #expect(World.base + world.now - vouched.rawValue < 700_000_000)
        world.nodes[leader].clockOffset = 3_600 * Self.second
        world.run(milliseconds: 3_000)
        let later = try #require(world.nodes[leader].core?.vouchedTime)
        #expect(later.rawValue <= World.base + world.now)
    }

    @Test func whatIsPreparedHoldsTheThresholdBack() throws {
        let (world, _, leader) = try serving()
        world.run(milliseconds: 8_000)
        var replica = try #require(world.replica(leader))
        let now = world.moment(leader).clock.earliest
        #expect(replica.collectable(now) > now.advanced(byNanoseconds: -Self.second))
        let prepared = now.advanced(byNanoseconds: -3 * Self.second)
        let id = TransactionID(request: RequestID(high: 1, low: 1), attempt: 1)
        replica.serving?.transactions.held[id] = .init(
            ticket: Latches.Ticket(rawValue: 99), timestamp: prepared,
            preparation: .init(
                participants: [Participant(World.data)], candidate: prepared, readsElsewhere: false,
                priority: TransactionPriority(begun: prepared, request: id.request)),
            isCommitted: true, promised: Ballot(of: [Participant(World.data)]), recoverAt: .distantFuture)
        #expect(replica.collectable(now) < prepared)
    }

    @Test func whatIsProtectedHoldsTheThresholdBack() throws {
        let (world, clients, leader) = try serving()
        world.run(milliseconds: 6_000)
        let protected = world.moment(leader).clock.earliest.advanced(byNanoseconds: -2 * Self.second)
        let name = "nightly backup"
        let row = try Protection(timestamp: protected, table: TableID(7)).mutation(named: name)
        let other = try Protection(timestamp: .zero, table: TableID(8)).mutation(named: "another table's")
        for position in world.nodes.indices { world.step(position, [.systemRows(world.rows + [row, other])]) }
        for _ in 0..<10 {
            world.run(milliseconds: 1_000)
            try write(world, clients)
        }
        for threshold in try thresholds(world) { #expect(threshold <= protected) }
        let rows = world.rows + [Mutation(key: try Protection.key(of: name), value: nil), other]
        for position in world.nodes.indices { world.step(position, [.systemRows(rows)]) }
        world.run(milliseconds: 3_000)
        for threshold in try thresholds(world) { #expect(threshold > protected) }
    }

    @Test func aReadThatWaitsHoldsTheThresholdBack() throws {
        let (world, _, leader) = try serving()
        world.run(milliseconds: 6_000)
        var replica = try #require(world.replica(leader))
        let now = world.moment(leader).clock.earliest
        let old = now.advanced(byNanoseconds: -2 * Self.second)
        let request = RangeRequest(
            id: GatewayRequestID(rawValue: 1), range: World.data,
            body: .read(ReadRequest(timestamp: old, operations: [])), freshIn: nil)
        replica.local.waiting.append(
            .init(
                address: ReplyAddress(request, from: NodeID(1)), request: ReadRequest(timestamp: old, operations: []),
                timestamp: old, patience: .distantFuture))
        #expect(replica.collectable(now) == old)
    }

    /// An idle range costs nothing: it is woken once, when all that was written may go, and then never.
    @Test func aQuiescentRangeIsWokenOnceAtMost() throws {
        let (world, _, leader) = try serving(retention: 8, quiesceAfter: 1)
        world.run(milliseconds: 5_000)
        #expect(world.replica(leader)?.raft.isQuiescent == true)
        let before = try #require(world.replica(leader)).raft.lastPosition.index.rawValue
        world.run(milliseconds: 15_000)
        let after = try #require(world.replica(leader))
        // One that compares the replicas, if that was not done before, and the threshold.
        #expect(after.raft.lastPosition.index.rawValue > before)
        #expect(after.raft.lastPosition.index.rawValue <= before + 2)
        #expect(after.dispatched.threshold >= after.dispatched.transactions.highest)
        #expect(after.raft.isQuiescent)
        world.run(milliseconds: 60_000)
        let end = try #require(world.replica(leader))
        #expect(end.raft.lastPosition.index == after.raft.lastPosition.index)
        #expect(end.nextCollection == nil)
    }

    @Test func aBusyRangeRaisesItNotMoreOftenThanTheInterval() throws {
        let (world, clients, leader) = try serving()
        world.run(milliseconds: 5_000)
        let before = try #require(world.replica(leader)).raft.lastPosition.index.rawValue
        for _ in 0..<100 {
            world.run(milliseconds: 100)
            try write(world, clients)
        }
        let commands = UInt64(100)
        let others = try #require(world.replica(leader)).raft.lastPosition.index.rawValue - before - commands
        #expect(others >= 10 && others <= 22, "\(others) entries of upkeep in 10 s at two a second")
    }

    /// A follower's own clock decides nothing: by the threshold it serves what a clock would have refused.
    @Test func aFollowersClockDecidesNothing() throws {
        let (world, _, leader) = try serving(retention: 60)
        world.run(milliseconds: 4_000)
        let follower = try #require(world.nodes.indices.first { $0 != leader })
        let threshold = try #require(world.replica(follower)).dispatched.threshold
        let at = World.base + world.now - 1_000_000_000
        world.nodes[follower].clockOffset = 300 * Self.second
        world.run(milliseconds: 2_000)
        var answer: GatewayAnswer.Body?
        world.onAnswer = { _, found in answer = found.body }
        for (time, isServed) in [(at, true), (threshold.rawValue - 1, false)] {
            answer = nil
            let request = ReadRequest(
                timestamp: Timestamp(rawValue: time), operations: [.get(World.key(0))], patienceNanoseconds: 0)
            let call = GatewayCall(
                id: GatewayRequestID(rawValue: 1 << 40 + UInt64(isServed ? 1 : 2)), range: World.data,
                body: .read(request),
                deadline: world.moment(follower).instant.advanced(byNanoseconds: 3_000_000_000))
            world.step(follower, [.call(call)])
            world.run(milliseconds: 1_000, until: { answer != nil })
            switch answer {
            case .read?: #expect(isServed)
            case .failed(let error)?: #expect(!isServed && error.code == .readTooOld, "\(error)")
            default: Issue.record("no answer for \(time)")
            }
        }
    }
}
