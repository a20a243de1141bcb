import MeridianConsensus
import MeridianCore
import Testing

/// Not a benchmark: a guard against work that grows with the log (copies of the log, scans of it).
@Suite struct PerformanceTests {
    @Test func aBatchCostsTheSameInALongLog() {
        let node = NodeID(1)
        let members = Membership(members: (1...3).map { Member(node: NodeID($0), region: "eu", role: .voter) })
        let configuration = RaftConfiguration(
            node: node, commitRule: .majority, electionTimeoutNanoseconds: 1_000_000_000,
            heartbeatIntervalNanoseconds: 100_000_000, leaseDurationNanoseconds: 0, seed: 1)
        let now = Moment(instant: .zero, clock: .unknown)
        var raft = Raft(
            configuration: configuration, stored: StoredLog(),
            applied: AppliedState(position: .zero, membership: members, closed: .zero), at: now)
        _ = raft.step(.campaign, at: now)
        let granted = RaftMessage.Vote(isPreVote: true, isGranted: true)
        let job = raft.step(
            .message(RaftMessage(from: NodeID(2), to: node, term: Term(1), body: .vote(granted))), at: now)
        _ = raft.step(.persisted(job.persist!.token), at: now)
        let vote = RaftMessage.Vote(isPreVote: false, isGranted: true)
        _ = raft.step(.message(RaftMessage(from: NodeID(2), to: node, term: Term(1), body: .vote(vote))), at: now)
        #expect(raft.role == .leader)

        func batches(_ count: Int) -> Duration {
            let clock = ContinuousClock()
            return clock.measure {
                for _ in 0..<count {
                    let proposals = (0..<64).map {
                        Proposal(id: ProposalID(rawValue: UInt64($0)), payload: .numbered(1))
                    }
                    let output = raft.step(.propose(proposals), at: now)
                    if let token = output.persist?.token { _ = raft.step(.persisted(token), at: now) }
                    let reply = RaftMessage.AppendReply(result: .accepted(raft.lastPosition.index), lease: nil)
                    for follower in [NodeID(2), NodeID(3)] {
                        _ = raft.step(
                            .message(RaftMessage(from: follower, to: node, term: raft.term, body: .appendReply(reply))),
                            at: now)
                    }
                }
            }
        }
        _ = batches(50)
        let early = batches(200)
        _ = batches(1500)
        let late = batches(200)
        #expect(raft.commitIndex == raft.lastPosition.index)
        print("64 proposals, committed by three: \(late / 200)")
        #expect(late < early * 5, "\(early) for 200 batches in a short log, \(late) in a long one")
    }
}
