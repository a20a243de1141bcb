import MeridianConsensus
import MeridianCore
import Testing

@Suite struct MajorityQuorumTests {
    private func quorum(_ count: UInt32) -> MajorityQuorum {
        MajorityQuorum(voters: (0..<count).map { NodeID($0 + 1) })
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
    func sizeIsMoreThanHalf(voters: UInt32, size: Int) {
        #expect(quorum(voters).size == size)
    }

    /// Every way in which up to five voters can answer.
    @Test func voteResultAgreesWithCounting() {
        for count in UInt32(1)...5 {
            let quorum = quorum(count)
            var combination = Array(repeating: 0, count: Int(count))
            repeat {
                let votes: [Bool?] = combination.map { [nil, true, false][$0] }
                let granted = votes.count { $0 == true }
                let refused = votes.count { $0 == false }
                let expected: VoteResult =
                    granted >= quorum.size ? .won : (Int(count) - refused < quorum.size ? .lost : .pending)
                #expect(quorum.voteResult { votes[Int($0.rawValue) - 1] } == expected)
            } while advance(&combination, base: 3)
        }
    }

    /// Against sorting, for every assignment of four values to up to five voters.
    @Test func highestReachedAgreesWithSorting() {
        for count in UInt32(1)...5 {
            let quorum = quorum(count)
            var values = Array(repeating: 0, count: Int(count))
            repeat {
                let expected = values.sorted(by: >)[quorum.size - 1]
                #expect(quorum.highestReached(floor: 0) { values[Int($0.rawValue) - 1] } == expected)
            } while advance(&values, base: 4)
        }
    }

    @Test func nobodyDecidesNothing() {
        let quorum = MajorityQuorum(voters: [])
        #expect(quorum.voteResult { _ in true } == .lost)
        #expect(quorum.highestReached(floor: 0) { _ in 9 } == 0)
    }

    private func advance(_ digits: inout [Int], base: Int) -> Bool {
        for position in digits.indices {
            digits[position] += 1
            if digits[position] < base { return true }
            digits[position] = 0
        }
        return false
    }
}

@Suite struct JointQuorumTests {
    private let old = [NodeID(1), NodeID(2), NodeID(3)]
    private let new = [NodeID(3), NodeID(4), NodeID(5)]

    @Test func bothHalvesMustAgree() {
        let joint = JointQuorum(incoming: MajorityQuorum(voters: new), outgoing: MajorityQuorum(voters: old))
        func result(_ granted: [UInt32], refused: [UInt32] = []) -> VoteResult {
            joint.voteResult { granted.contains($0.rawValue) ? true : refused.contains($0.rawValue) ? false : nil }
        }
        #expect(result([1, 2]) == .pending)
        #expect(result([4, 5]) == .pending)
        #expect(result([1, 2, 4, 5]) == .won)
        #expect(result([1, 3, 4]) == .won)
        #expect(result([1, 2], refused: [4, 5]) == .lost)
        #expect(joint.voters == [NodeID(1), NodeID(2), NodeID(3), NodeID(4), NodeID(5)])
    }

    @Test func theLowerHalfLimits() {
        let joint = JointQuorum(incoming: MajorityQuorum(voters: new), outgoing: MajorityQuorum(voters: old))
        let values: [UInt32: Int] = [1: 9, 2: 9, 3: 9, 4: 4, 5: 2]
        #expect(joint.highestReached(floor: 0) { values[$0.rawValue]! } == 4)
    }

    @Test func learnersDoNotCountAndWitnessesDo() {
        let membership = Membership(members: [
            Member(node: NodeID(1), region: "eu", role: .voter), Member(node: NodeID(2), region: "eu", role: .witness),
            Member(node: NodeID(3), region: "eu", role: .learner),
        ])
        #expect(JointQuorum(membership).voters == [NodeID(1), NodeID(2)])
    }
}

@Suite struct CommitQuorumTests {
    private func member(_ node: UInt32, _ region: Region, _ role: ReplicaRole = .voter) -> Member {
        Member(node: NodeID(node), region: region, role: role)
    }

    private func index(_ rule: CommitRule, _ members: [Member], _ matches: [UInt32: UInt64]) -> UInt64 {
        CommitQuorum(rule: rule, membership: Membership(members: members))
            .index { LogIndex(matches[$0.rawValue] ?? 0) }.rawValue
    }

    @Test func majorityCountsVotersOnly() {
        let members = [member(1, "eu"), member(2, "eu"), member(3, "eu"), member(4, "us", .learner)]
        #expect(index(.majority, members, [1: 9, 2: 5, 3: 3, 4: 9]) == 5)
    }

    @Test func regionDiverseWaitsForAnotherRegion() {
        let members = [member(1, "eu"), member(2, "eu"), member(3, "eu"), member(4, "us"), member(5, "ap")]
        let rule = CommitRule.regionDiverse(minimumRegions: 2)
        #expect(index(rule, members, [1: 9, 2: 9, 3: 9, 4: 2, 5: 4]) == 4)
        #expect(index(rule, members, [1: 9, 2: 1, 3: 1, 4: 9, 5: 3]) == 3)
        #expect(index(.regionDiverse(minimumRegions: 3), members, [1: 9, 2: 9, 3: 9, 4: 2, 5: 4]) == 2)
    }

    @Test func aWitnessIsNoCopyInAnotherRegion() {
        let members = [member(1, "eu"), member(2, "us"), member(3, "ap", .witness)]
        let rule = CommitRule.regionDiverse(minimumRegions: 2)
        #expect(index(rule, members, [1: 9, 3: 9, 2: 4]) == 4)
    }

    @Test func regionDiverseHoldsForBothConfigurations() {
        let old = [member(1, "eu"), member(2, "us"), member(3, "ap")]
        let new = [member(1, "eu"), member(4, "eu"), member(5, "us")]
        let joint = Membership(members: new, outgoing: old)
        let quorum = CommitQuorum(rule: .regionDiverse(minimumRegions: 2), membership: joint)
        let matches: [UInt32: UInt64] = [1: 9, 4: 9, 5: 3, 2: 9, 3: 9]
        #expect(quorum.index { LogIndex(matches[$0.rawValue]!) } == LogIndex(3))
    }

    @Test func semiSynchronousCountsLearnersElsewhere() {
        let members = [member(1, "eu"), member(2, "eu"), member(3, "eu"), member(4, "us", .learner)]
        let rule = CommitRule.semiSynchronous(home: "eu", remoteRegions: 1)
        #expect(index(rule, members, [1: 9, 2: 9, 3: 9, 4: 2]) == 2)
        #expect(index(rule, members, [1: 9, 2: 3, 3: 2, 4: 9]) == 3)
    }

    @Test func asynchronousWaitsForNobodyElse() {
        let members = [member(1, "eu"), member(2, "eu"), member(3, "eu"), member(4, "us", .learner)]
        #expect(index(.asynchronous(home: "eu"), members, [1: 9, 2: 9, 3: 1, 4: 0]) == 9)
    }

    /// The property that elections stand on: a committed index is held by a majority, whatever the rule.
    @Test func everyRuleContainsAMajority() {
        let members = [member(1, "eu"), member(2, "eu"), member(3, "us"), member(4, "us"), member(5, "ap")]
        let rules: [CommitRule] = [
            .majority, .regionDiverse(minimumRegions: 2), .regionDiverse(minimumRegions: 3),
            .semiSynchronous(home: "eu", remoteRegions: 2), .asynchronous(home: "eu"),
        ]
        var random = SplitMix64(seed: 5)
        for _ in 0..<500 {
            let matches = Dictionary(uniqueKeysWithValues: (1...5).map { (UInt32($0), random.below(6)) })
            for rule in rules {
                let index = index(rule, members, matches)
                #expect(matches.values.count { $0 >= index } >= 3, "\(rule) commits \(index) of \(matches)")
            }
        }
    }
}
