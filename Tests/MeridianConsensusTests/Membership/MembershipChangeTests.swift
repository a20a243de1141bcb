import MeridianConsensus
import MeridianCore
import Testing

@Suite struct MembershipChangeTests {
    private func member(_ node: UInt32, _ role: ReplicaRole = .voter, _ region: Region = "eu") -> Member {
        Member(node: NodeID(node), region: region, role: role)
    }

    private let three = Membership(members: [1, 2, 3].map { Member(node: NodeID($0), region: "eu", role: .voter) })

    private func step(
        _ from: Membership, _ target: [Member], rule: CommitRule = .majority, caughtUp: Bool = true
    ) throws(MembershipError) -> MembershipStep {
        try from.step(to: MembershipChange(target: target), rule: rule) { _ in caughtUp }
    }

    @Test func oneVoterIsASimpleChange() throws {
        let target = [member(1), member(2)]
        #expect(try step(three, target) == .simple(Membership(members: target)))
    }

    @Test func learnersAloneAreASimpleChange() throws {
        let target = [member(1), member(2), member(3), member(4, .learner), member(5, .learner)]
        #expect(try step(three, target) == .simple(Membership(members: target)))
    }

    @Test func replacingTwoVotersIsJoint() throws {
        let from = Membership(members: three.members + [member(4, .learner), member(5, .learner)])
        let target = [member(1), member(4), member(5)]
        let step = try step(from, target)
        #expect(step == .joint(Membership(members: target, outgoing: three.members)))
        #expect(step.membership.leavingJoint == Membership(members: target))
    }

    @Test func swappingOneVoterIsJoint() throws {
        let from = Membership(members: three.members + [member(4, .learner)])
        guard case .joint = try step(from, [member(1), member(2), member(4)]) else {
            Issue.record("swapping a voter moves two votes")
            return
        }
    }

    @Test func aNewNodeCannotVoteAtOnce() {
        #expect(throws: MembershipError.self) { try step(three, three.members + [member(4)]) }
    }

    @Test func aLearnerIsPromotedOnlyWhenCaughtUp() throws {
        let from = Membership(members: three.members + [member(4, .learner)])
        let target = three.members + [member(4)]
        #expect(throws: MembershipError.self) { try step(from, target, caughtUp: false) }
        #expect(try step(from, target) == .simple(Membership(members: target)))
    }

    @Test func aWitnessStaysAWitness() throws {
        let from = Membership(members: [member(1), member(2), member(3, .witness)])
        #expect(throws: MembershipError.self) { try step(from, three.members) }
        #expect(throws: MembershipError.self) { try step(three, from.members) }
        #expect(try step(from, [member(1), member(2)]) == .simple(Membership(members: [member(1), member(2)])))
    }

    @Test func aGroupKeepsAVoterThatHoldsRows() {
        let from = Membership(members: [member(1), member(2), member(3, .witness)])
        #expect(throws: MembershipError.self) { try step(from, [member(3, .witness)]) }
        #expect(throws: MembershipError.self) { try step(from, []) }
    }

    @Test func aNodeIsNamedOnce() {
        #expect(throws: MembershipError.self) { try step(three, [member(1), member(1)]) }
    }

    @Test func nothingStartsWhileJoint() {
        let joint = Membership(members: [member(1)], outgoing: three.members)
        #expect(throws: MembershipError.self) { try step(joint, [member(1), member(2)]) }
    }

    @Test func theCommitRuleMustStayPossible() throws {
        let spread = Membership(members: [member(1), member(2), member(3, .voter, "us")])
        let home = [member(1), member(2)]
        #expect(throws: MembershipError.self) { try step(spread, home, rule: .regionDiverse(minimumRegions: 2)) }
        #expect(try step(spread, home) == .simple(Membership(members: home)))
        #expect(throws: MembershipError.self) {
            try step(three, three.members + [member(4, .witness, "us")], rule: .asynchronous(home: "eu"))
        }
    }

    /// Any quorum of one configuration meets any quorum of the next, for every change among five nodes.
    @Test func successiveConfigurationsHaveNoDisjointQuorums() throws {
        let nodes: [UInt32] = [1, 2, 3, 4, 5]
        for before in 1..<32 {
            for after in 1..<32 where before != after {
                let members = nodes.map { member($0, before >> ($0 - 1) & 1 == 1 ? .voter : .learner) }
                let target = nodes.map { member($0, after >> ($0 - 1) & 1 == 1 ? .voter : .learner) }
                let from = Membership(members: members)
                let step = try step(from, target)
                var chain = [from, step.membership]
                if step.membership.isJoint { chain.append(step.membership.leavingJoint) }
                for (one, other) in zip(chain, chain.dropFirst()) {
                    #expect(!haveDisjointQuorums(JointQuorum(one), JointQuorum(other)))
                }
            }
        }
    }

    private func haveDisjointQuorums(_ one: JointQuorum, _ other: JointQuorum) -> Bool {
        (0..<32).contains { set in
            one.voteResult { set >> ($0.rawValue - 1) & 1 == 1 } == .won
                && other.voteResult { set >> ($0.rawValue - 1) & 1 == 0 } == .won
        }
    }
}

@Suite struct MembershipHistoryTests {
    private func membership(_ nodes: UInt32...) -> Membership {
        Membership(members: nodes.map { Member(node: NodeID($0), region: "eu", role: .voter) })
    }

    @Test func truncatingRestoresTheOneBefore() {
        var history = MembershipHistory(membership(1), at: .zero)
        history.append(membership(1, 2), at: LogIndex(4))
        history.append(membership(1, 2, 3), at: LogIndex(7))
        #expect(history.membership(at: LogIndex(6)) == membership(1, 2))
        let did1 = history.truncate(from: LogIndex(8))
        #expect(!did1)
        let did2 = history.truncate(from: LogIndex(7))
        #expect(did2)
        #expect(history.current == membership(1, 2))
        let did3 = history.truncate(from: LogIndex(2))
        #expect(did3)
        #expect(history.current == membership(1))
    }

    @Test func forgettingKeepsTheOneInForce() {
        var history = MembershipHistory(membership(1), at: .zero)
        history.append(membership(1, 2), at: LogIndex(4))
        history.append(membership(1, 2, 3), at: LogIndex(7))
        history.forget(before: LogIndex(5))
        #expect(history.membership(at: LogIndex(5)) == membership(1, 2))
        #expect(history.current == membership(1, 2, 3))
        #expect(history.membership(at: LogIndex(3)) == nil)
    }
}
