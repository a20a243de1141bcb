import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions
import Testing

@testable import MeridianReplica

/// What is closed, who may use it, and reads that any replica serves.
@Suite struct ClosingTests {
    private func serving(_ settings: World.Settings = World.Settings()) throws -> (World, Clients, leader: Int) {
        let world = try World(seed: 1, settings)
        let clients = Clients(world)
        let first = clients.start(.write, World.key(0))
        try #require(world.run(milliseconds: 3000, until: { clients.operations[first].outcome != nil }))
        world.run(milliseconds: 500)
        return (world, clients, try #require(world.leader))
    }

    private func age(_ world: World, _ position: Int) throws -> Int64 {
        let usable = try #require(world.replica(position)).closed.usable
        return world.moment(position).clock.latest.rawValue - usable.rawValue
    }

    private func cutOff(_ world: World, _ position: Int) {
        for other in world.nodes where other.id != world.nodes[position].id {
            world.cut.insert(World.Link(from: other.id, to: world.nodes[position].id))
            world.cut.insert(World.Link(from: world.nodes[position].id, to: other.id))
        }
    }

    private func read(
        _ world: World, at position: Int, timestamp: Timestamp, patience: Int64? = 0, milliseconds: Int64 = 100
    ) -> GatewayAnswer.Body? {
        var answer: GatewayAnswer.Body?
        world.onAnswer = { _, found in answer = found.body }
        let request = ReadRequest(
            timestamp: timestamp, operations: [.get(World.key(0))], patienceNanoseconds: patience)
        world.step(
            position,
            [
                .call(
                    GatewayCall(
                        id: GatewayRequestID(rawValue: 1 << 40), range: World.data, body: .read(request),
                        deadline: world.moment(position).instant.advanced(byNanoseconds: 3_000_000_000)))
            ])
        world.run(milliseconds: milliseconds, until: { answer != nil })
        return answer
    }

    @Test func followersFollowThePresentWithoutWrites() throws {
        let (world, _, leader) = try serving()
        for position in world.nodes.indices where position != leader {
            #expect(try age(world, position) < 200_000_000)
        }
    }

    @Test func aQuiescentRangeKeepsItsLeaseAndFollowsThePresent() throws {
        var settings = World.Settings()
        settings.quiesceAfterNanoseconds = 500_000_000
        let (world, _, leader) = try serving(settings)
        world.run(milliseconds: 4000)
        let replica = try #require(world.replica(leader))
        #expect(replica.raft.isQuiescent)
        #expect(replica.hasLease(at: world.moment(leader)))
        for position in world.nodes.indices where position != leader {
            #expect(world.replica(position)?.raft.isQuiescent == true)
            #expect(try age(world, position) < 400_000_000)
        }
    }

    @Test func nothingIsClosedBeyondTheLease() throws {
        let (world, _, leader) = try serving()
        cutOff(world, leader)
        for _ in 0..<20 {
            world.run(milliseconds: 50)
            let replica = try #require(world.replica(leader))
            guard replica.raft.role == .leader, let expiration = replica.raft.leaseExpiration else { continue }
            #expect(replica.closed.newest <= expiration)
        }
    }

    @Test func aCommitLiesAboveWhatIsClosed() throws {
        let (world, clients, leader) = try serving()
        let closed = try #require(world.replica(leader)).closed.newest
        let write = clients.start(.write, World.key(0))
        world.run(milliseconds: 1000, until: { clients.operations[write].outcome != nil })
        guard case .committed(let result)? = clients.operations[write].outcome else {
            Issue.record("the write was not committed")
            return
        }
        #expect(result > closed)
        #expect(Verdict(world, clients).failures.isEmpty)
    }

    @Test func aFollowerServesWhatIsClosedAlone() throws {
        let (world, _, leader) = try serving()
        let follower = try #require(world.nodes.indices.first { $0 != leader })
        let timestamp = try #require(world.replica(follower)).closed.usable
        cutOff(world, follower)
        guard case .read(let result)? = read(world, at: follower, timestamp: timestamp) else {
            Issue.record("the follower did not serve the read")
            return
        }
        #expect(result.term == .zero)
        #expect(result.pages[0].rows.count == 1)
    }

    @Test func whatIsNotClosedYetIsAskedOfTheLeaseholder() throws {
        let (world, _, leader) = try serving()
        let follower = try #require(world.nodes.indices.first { $0 != leader })
        let now = world.moment(follower).clock.latest
        guard case .read(let result)? = read(world, at: follower, timestamp: now, milliseconds: 1000) else {
            Issue.record("nobody served the read")
            return
        }
        #expect(result.term > .zero)
        #expect(result.timestamp == now)
    }

    @Test func aReadOlderThanTheRetentionIsRefused() throws {
        let (world, _, leader) = try serving()
        let old = world.moment(leader).clock.latest.advanced(byNanoseconds: -700_000_000_000)
        for patience in [0, nil] as [Int64?] {
            guard case .failed(let error)? = read(world, at: leader, timestamp: old, patience: patience) else {
                Issue.record("an old read was served")
                return
            }
            #expect(error.code == .readTooOld)
        }
    }

    @Test func aRangeThatLagsHoldsReadsBackOnlyWhereItIsAskedFor() throws {
        let (world, _, leader) = try serving()
        let follower = try #require(world.nodes.indices.first { $0 != leader })
        cutOff(world, follower)
        world.run(milliseconds: 3000)
        let moment = world.moment(follower)
        let now = moment.clock.latest
        let bound = now.advanced(byNanoseconds: -10_000_000_000)
        let core = try #require(world.nodes[follower].core)
        let asked = core.freshestTimestamp(.init(notBefore: bound, ranges: [World.data]), at: moment)
        let usable = try #require(world.replica(follower)).closed.usable
        #expect(try #require(asked) <= usable)
        #expect(try #require(asked) >= bound)
        let others = core.freshestTimestamp(.init(notBefore: bound, ranges: []), at: moment)
        #expect(now.rawValue - (try #require(others)).rawValue < 1_000_000_000)
        let late = now.advanced(byNanoseconds: -1_000_000_000)
        #expect(core.freshestTimestamp(.init(notBefore: late, ranges: [World.data]), at: moment) ?? .zero >= late)
    }

    @Test func aGlobalTablesLeaseOutlastsWhatItCloses() throws {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        let table = TableDescriptor(id: TableID(9), name: "settings", locality: .global)
        let plan = try ReplicaPlanner(topology: topology).plan(table, range: RangeID(9))
        let span = KeySpan(prefix: KeyEncoder.prefix(table: table.id))
        let range = RangeDescriptor(id: RangeID(9), span: span, table: table.id, plan: plan)
        for member in plan.voters {
            let configuration = NodeConfiguration(node: member.node, topology: topology, seed: 1)
            let usual = configuration.raft(for: range)
            let global = configuration.raft(for: range, isGlobal: true)
            let lead = configuration.closeLeadNanoseconds(of: range)
            #expect(global.leaseDurationNanoseconds >= usual.leaseDurationNanoseconds + lead)
            #expect(global.quiesceAfterNanoseconds == 0)
        }
    }

    @Test func listsOfQuietRangesAreNamedByTheirContents() {
        let range = QuietRanges.Range(
            range: RangeID(7), position: LogPosition(term: Term(2), index: LogIndex(9)), term: Term(2),
            leaseNanoseconds: 300)
        var other = range
        other.position.index = LogIndex(10)
        #expect([range].digest == [range].digest)
        #expect([range].digest != [other].digest)
        #expect([range, other].digest != [other, range].digest)
    }
}
