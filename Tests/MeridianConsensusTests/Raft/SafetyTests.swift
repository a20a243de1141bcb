import MeridianConsensus
import MeridianCore
import Testing

/// The properties of Raft figure 3 and the rules that protect them, each at the place where a wrong implementation
/// would break it. `RandomisedTests` looks for the places that nobody thought of.
@Suite struct SafetyTests {
    private func world(_ lines: String...) -> ScenarioWorld {
        var world = ScenarioWorld()
        for line in lines { _ = world.run(line) }
        return world
    }

    private func raft(_ world: ScenarioWorld, _ node: UInt32) -> Raft { world.nodes[world.slot(NodeID(node))].raft }

    /// Raft 5.2: a replica votes once in a term, also across a restart.
    @Test func electionSafety() {
        var world = world("cluster 1 2 3", "disk hold 2", "campaign 1", "deliver", "deliver", "persist 1", "deliver")
        // n3 has voted for n1, durably; then it restarts.
        _ = world.run("persist 3")
        _ = world.run("crash 3")
        _ = world.run("restart 3")
        let request = RaftMessage(
            from: NodeID(2), to: NodeID(3), term: Term(1),
            body: .requestVote(.init(isPreVote: false, last: .zero, isTransfer: false)))
        let output = world.nodes[2].raft.step(.message(request), at: world.moment(NodeID(3)))
        #expect(output.messages.map(\.body) == [.vote(.init(isPreVote: false, isGranted: false))])
    }

    /// A vote is sent when it is durable, and not before.
    @Test func aVoteWaitsForTheDisk() {
        let world = world("cluster 1 2 3")
        let request = RaftMessage(
            from: NodeID(1), to: NodeID(2), term: Term(1),
            body: .requestVote(.init(isPreVote: false, last: .zero, isTransfer: false)))
        let output = world.nodes[1].raft.step(.message(request), at: world.moment(NodeID(2)))
        #expect(output.messages.isEmpty)
        #expect(output.persist?.hardState == HardState(term: Term(1), vote: NodeID(1)))
        #expect(output.persist?.messagesAfter.map(\.body) == [.vote(.init(isPreVote: false, isGranted: true))])
        // Asked again while the disk works, it answers after the disk again.
        let again = world.nodes[1].raft.step(.message(request), at: world.moment(NodeID(2)))
        #expect(again.messages.isEmpty && again.persist?.messagesAfter.count == 1)
    }

    /// Raft 5.3: a leader never overwrites or deletes entries of its own log.
    @Test func leaderAppendOnly() {
        var world = world("cluster 1 2 3", "log 1 terms=1,1,1 term=2", "log 2 terms=1 term=2", "log 3 terms=1 term=2")
        _ = world.run("elect 1")
        _ = world.run("propose 1 a")
        #expect((1...5).map { raft(world, 1).term(at: LogIndex(UInt64($0)))?.rawValue } == [1, 1, 1, 3, 3])
    }

    /// Raft 5.3: an append is accepted only where the logs agree before it.
    @Test func logMatching() {
        let world = world("cluster 1 2 3", "log 2 terms=1,1,2 term=2")
        let append = RaftMessage(
            from: NodeID(1), to: NodeID(2), term: Term(4),
            body: .append(
                .init(
                    previous: LogPosition(term: Term(3), index: LogIndex(3)),
                    entries: [Entry(term: Term(4), index: LogIndex(4), payload: .empty)], commit: .zero, lease: nil)))
        let output = world.nodes[1].raft.step(.message(append), at: world.moment(NodeID(2)))
        guard case .appendReply(let reply)? = output.messages.first?.body, case .rejected = reply.result else {
            Issue.record("accepted after an entry of another term: \(output.messages)")
            return
        }
        #expect(raft(world, 2).lastPosition.index == LogIndex(3))
    }

    /// Raft 5.4.1: whoever lacks a committed entry is not elected.
    @Test func leaderCompleteness() {
        var world = world(
            "cluster 1 2 3", "elect 1", "isolate 3", "propose 1 a", "stabilize", "crash 1", "heal", "drop")
        _ = world.run("advance 1s quiet")
        _ = world.run("elect 3")
        #expect(raft(world, 3).role != .leader)
        _ = world.run("elect 2")
        #expect(raft(world, 2).role == .leader)
    }

    /// Raft 5.4.3: no two replicas apply different entries at an index.
    @Test func stateMachineSafety() {
        let world = world(
            "cluster 1 2 3", "elect 1", "isolate 1", "propose 1 x", "advance 1s", "elect 2", "propose 2 y", "stabilize",
            "heal", "run 200ms")
        #expect(world.nodes[0].appliedEntries == world.nodes[1].appliedEntries)
        #expect(world.nodes[0].appliedEntries == world.nodes[2].appliedEntries)
    }

    /// Raft 5.4.2, figure 8.
    @Test func leaderCommitsOnlyEntriesOfItsOwnTerm() {
        var world = world(
            "cluster 1 2 3 entries=1", "log 1 terms=1,2 term=3", "log 2 terms=1 term=3", "log 3 terms=1 term=3",
            "campaign 1", "deliver", "deliver", "persist 1", "deliver", "persist 2", "persist 3", "deliver",
            "persist 1",
            "deliver", "deliver", "deliver", "persist 2", "deliver 2>1")
        // n1 and n2 hold index 2 of term 2: a majority, of an older term.
        #expect(raft(world, 1).role == .leader)
        #expect(raft(world, 1).peers[1].match == LogIndex(2))
        #expect(raft(world, 1).commitIndex == .zero)
        _ = world.run("stabilize")
        #expect(raft(world, 1).commitIndex == LogIndex(3))
    }

    /// The leader's own copy counts when its disk says so.
    @Test func ownCopyCountsOnlyWhenDurable() {
        var world = world("cluster 1 2 3", "elect 1", "disk hold 1", "crash 3", "propose 1 a", "stabilize")
        #expect(raft(world, 1).commitIndex == LogIndex(1))
        _ = world.run("persist 1")
        #expect(raft(world, 1).commitIndex == LogIndex(2))
    }

    /// A follower acknowledges what is durable, never what is only in memory.
    @Test func anAcknowledgementWaitsForTheDisk() {
        var world = world("cluster 1 2 3", "elect 1", "disk hold 2 3", "propose 1 a", "stabilize")
        #expect(raft(world, 1).commitIndex == LogIndex(1))
        // The same entry again changes nothing: it is in memory, and still not on the disk.
        _ = world.run("unreachable 1 2")
        _ = world.run("run 200ms")
        #expect(raft(world, 1).commitIndex == LogIndex(1))
    }

    /// A promise that a term would be forgotten with waits for the term to be durable.
    @Test func aPromiseWaitsForItsTerm() {
        let world = world("cluster 1 2 3 lease=500ms")
        let heartbeat = RaftMessage(
            from: NodeID(1), to: NodeID(2), term: Term(1),
            body: .heartbeat(.init(commit: .zero, lease: Timestamp(rawValue: 1), readRound: 0, quiesce: false)))
        let output = world.nodes[1].raft.step(.message(heartbeat), at: world.moment(NodeID(2)))
        #expect(output.messages.isEmpty)
        #expect(output.persist?.messagesAfter.count == 1)
    }

    /// A replica without a row in the membership never campaigns, whatever it is told.
    @Test func whoeverIsNoMemberNeverCampaigns() {
        var world = world("cluster 1 2 3", "spare 4")
        _ = world.run("campaign 4")
        _ = world.run("run 10s")
        #expect(raft(world, 4).role == .follower && raft(world, 4).nextDeadline == nil)
        #expect(!world.network.contains { $0.from == NodeID(4) })
    }

    /// Found by the randomised cluster's reasoning about witnesses: see `Raft+Appending.swift`.
    @Test func aWitnessGetsOnlyWhatACandidateHolds() {
        var world = world("cluster 1 2 3:eu:witness", "elect 1", "disk hold 1", "propose 1 a")
        #expect(!world.network.contains { $0.to == NodeID(3) })
        _ = world.run("persist 1")
        #expect(world.network.contains { $0.to == NodeID(3) })
    }

    /// A follower that acknowledged and lost entries is found out, and helps to elect nobody before it is readmitted.
    @Test func aReplicaThatLostEntriesNeitherVotesNorCampaigns() {
        var world = world("cluster 1 2 3", "elect 1", "propose 1 a b", "stabilize")
        world.nodes[2].disk.entries.removeLast(2)
        world.nodes[2].appliedEntries.removeLast(2)
        _ = world.run("crash 3")
        _ = world.run("restart 3")
        _ = world.run("block 3>1")
        _ = world.run("run 200ms")
        #expect(raft(world, 3).isRecovering)
        _ = world.run("crash 1")
        _ = world.run("drop")
        _ = world.run("run 10s")
        #expect(raft(world, 2).role != .leader && raft(world, 3).role != .leader)
    }

    /// What a follower's disk has lost comes back from the leader, and with it the follower's vote.
    @Test func aReplicaThatLostEntriesIsReadmitted() {
        var world = world("cluster 1 2 3", "elect 1", "propose 1 a b", "stabilize")
        world.nodes[2].disk.entries.removeLast(2)
        world.nodes[2].appliedEntries.removeLast(2)
        for command in ["crash 3", "restart 3", "run 5s"] { _ = world.run(command) }
        #expect(!raft(world, 3).isRecovering && raft(world, 3).incarnation == Incarnation.first.next)
        #expect(raft(world, 3).lastPosition == raft(world, 1).lastPosition)
        for command in ["crash 1", "drop", "run 10s"] { _ = world.run(command) }
        #expect(raft(world, 2).role == .leader || raft(world, 3).role == .leader)
    }

    /// Who left and came back without a log gives no vote to somebody who has slept since, and whom it had outgrown
    /// (`HardState.floor`).
    @Test func whatWasAcknowledgedBeforeADepartureBindsTheVote() {
        let members = (1...3).map { Member(node: NodeID($0), region: "eu", role: .voter) }
        let floor = LogPosition(term: Term(2), index: LogIndex(9))
        var raft = Raft(
            configuration: RaftConfiguration(
                node: NodeID(1), commitRule: .majority, electionTimeoutNanoseconds: 300_000_000,
                heartbeatIntervalNanoseconds: 100_000_000, leaseDurationNanoseconds: 0, seed: 1),
            stored: StoredLog(hardState: HardState(term: Term(2), floor: floor)),
            applied: AppliedState(position: .zero, membership: Membership(members: members), closed: .zero),
            at: Moment(instant: .zero, clock: .unknown))
        func asks(_ last: LogPosition, in term: UInt64) -> Bool? {
            let request = RaftMessage.RequestVote(isPreVote: false, last: last, isTransfer: true)
            let output = raft.step(
                .message(
                    RaftMessage(from: NodeID(3), to: NodeID(1), term: Term(term), body: .requestVote(request))),
                at: Moment(instant: .zero, clock: .unknown))
            for message in output.messages + (output.persist?.messagesAfter ?? []) {
                if case .vote(let vote) = message.body { return vote.isGranted }
            }
            return nil
        }
        #expect(asks(LogPosition(term: Term(2), index: LogIndex(8)), in: 3) == false)
        #expect(asks(floor, in: 4) == true)
        #expect(asks(LogPosition(term: Term(4), index: LogIndex(1)), in: 5) == true)
        _ = raft.step(.campaign, at: Moment(instant: .zero, clock: .unknown))
        #expect(raft.role == .follower, "it campaigns with less than it has acknowledged")
    }

    /// Timestamps can run ahead of the clock; the successor starts above them all the same.
    @Test func theFloorOfAHandoverIsAboveWhatWasUsed() {
        var world = world("cluster 1 2 3 lease=500ms", "elect 1")
        world.nodes[0].raft.noteTimestamp(Timestamp(rawValue: 777_000_000))
        _ = world.run("transfer 1 2")
        _ = world.run("stabilize")
        #expect(raft(world, 2).role == .leader)
        #expect(raft(world, 2).timestampFloor == Timestamp(rawValue: 777_000_000))
    }
}
