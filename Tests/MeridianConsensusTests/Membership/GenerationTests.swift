import MeridianConsensus
import MeridianCore
import Testing

/// A group that lost its quorum goes on from one replica, in the next band of terms.
@Suite struct GenerationTests {
    /// Three voters of which the first leads, with two commands committed everywhere.
    private func world() -> ScenarioWorld {
        var world = ScenarioWorld()
        for line in ["cluster 1 2 3", "elect 1", "propose 1 a b", "stabilize", "run 1s"] { _ = world.run(line) }
        return world
    }

    private func persist(_ raft: inout Raft, at now: Moment) -> RaftOutput {
        let output = raft.flush(at: now)
        if let job = output.persist { raft.receive(.persisted(job.token), at: now) }
        return output
    }

    /// Long after every promise to the old leader has lapsed.
    private func later(_ world: ScenarioWorld) -> Moment {
        let now = world.moment(NodeID(2))
        let earliest = now.clock.earliest.advanced(byNanoseconds: 3_600_000_000_000)
        return Moment(
            instant: now.instant.advanced(byNanoseconds: 3_600_000_000_000),
            clock: ClockInterval(earliest: earliest, latest: earliest.advanced(byNanoseconds: 1_000)))
    }

    @Test func termsOfGenerationsNeverMeet() {
        #expect(Term(7).generation == .first)
        #expect(Generation(3).seal.generation == Generation(3))
        #expect(Generation(3).seal.isSeal)
        #expect(!Generation(3).seal.next.isSeal)
        #expect(!Term.zero.isSeal)
        #expect(Term(UInt64(UInt32.max)).generation < Generation(1).seal.generation)
    }

    @Test func aSealCountsWhenItIsDurableAndEndsThePartInTheOldHistory() {
        let world = world()
        let now = later(world)
        var raft = world.nodes[1].raft
        raft.seal(for: Generation(1), at: now)
        #expect(raft.isSealed && !raft.isSealDurable)
        let output = persist(&raft, at: now)
        #expect(output.persist?.hardState?.term == Generation(1).seal)
        #expect(raft.isSealDurable)
        // It asks nobody for votes and gives none, whatever happens.
        raft.receive(.campaign, at: now)
        #expect(raft.role == .follower)
        let request = RaftMessage(
            from: NodeID(1), to: NodeID(2), term: Generation(1).seal.next,
            body: .requestVote(.init(isPreVote: false, last: raft.lastPosition, isTransfer: false)))
        let answers = raft.step(.message(request), at: now)
        let waiting = answers.persist?.messagesAfter ?? []
        #expect(
            (answers.messages + waiting).allSatisfy { message in
                if case .vote(let vote) = message.body { !vote.isGranted } else { true }
            })
    }

    @Test func theReplicaThatIsContinuedLeadsAloneAndCommitsWhatLiesBeforeTheFork() {
        let world = world()
        let now = later(world)
        var raft = world.nodes[1].raft
        let fork = raft.lastPosition
        raft.seal(for: Generation(1), at: now)
        _ = persist(&raft, at: now)
        let alone = Membership(members: [
            Member(node: NodeID(2), region: "eu", role: .voter), Member(node: NodeID(3), region: "eu", role: .learner),
        ])
        raft.reseed(Generation(1), fork: fork, membership: alone, at: now)
        #expect(raft.term(at: fork.index.next) == Generation(1).seal.next)
        raft.receive(.campaign, at: now)
        for _ in 0..<6 { _ = persist(&raft, at: now) }
        #expect(raft.role == .leader)
        #expect(raft.term.generation == Generation(1))
        #expect(raft.commitIndex > fork.index)
        #expect(raft.membership == alone)
    }

    @Test func whoJoinsVotesForNobodyBeforeItHasAnEntryOfTheGeneration() {
        let world = world()
        let now = later(world)
        var raft = world.nodes[2].raft
        raft.seal(for: Generation(1), at: now)
        raft.join(Generation(1), at: now)
        _ = persist(&raft, at: now)
        #expect(!raft.isSealed)
        raft.receive(.campaign, at: now)
        #expect(raft.role == .follower)
    }
}
