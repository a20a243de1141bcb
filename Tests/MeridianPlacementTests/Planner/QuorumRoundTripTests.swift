import MeridianCore
import MeridianPlacement
import Testing

/// The table "Quorum floor implied by the matrix": leader first, without fsync, commit wait and the client's hop.
@Suite struct QuorumRoundTripTests {
    private func members(_ regions: [Region], role: ReplicaRole = .voter, from first: UInt32 = 1) -> [Member] {
        regions.enumerated().map {
            Member(node: NodeID(first + UInt32($0.offset)), region: $0.element, role: role)
        }
    }

    private func milliseconds(
        _ members: [Member], _ rule: CommitRule = .majority, leader: UInt32 = 1, _ matrix: LatencyMatrix = .aws
    ) -> Double? {
        quorumRoundTripNanoseconds(leader: NodeID(leader), members: members, rule: rule, matrix: matrix)
            .map { Double($0) / 1_000_000 }
    }

    @Test(arguments: [
        (["us-east-1", "us-east-1", "us-east-1"], 1.0, 1.0),
        (["us-east-1", "us-east-1", "us-east-2", "us-east-2", "us-west-2"], 13, 64),
        (["us-east-1", "us-east-1", "us-west-2", "us-west-2", "eu-west-1"], 64, 70),
        (["eu-central-1", "eu-central-1", "eu-west-1", "eu-west-1", "us-east-1"], 27, 92),
        (["us-east-1", "eu-west-1", "ap-northeast-1"], 70, 146),
        (["us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1", "sa-east-1"], 92, 146),
        (["ap-southeast-2", "ap-southeast-1", "ap-northeast-1"], 93, 107),
    ])
    func floorsOfThePublishedTable(regions: [String], floor: Double, farthest: Double) {
        let members = members(regions.map { Region($0) })
        #expect(milliseconds(members) == floor)
        let distances = members.dropFirst().map {
            LatencyMatrix.aws.roundTripNanoseconds(from: members[0].region, to: $0.region)
        }
        #expect(distances.max().map { Double($0) / 1_000_000 } == farthest)
    }

    @Test func floorWithARegionOutsideTheBuiltInTable() throws {
        let matrix = try LatencyMatrix(
            csv: """
                region,eu-central-1,eu-west-1,eu-west-2
                eu-central-1,1,27,17
                eu-west-1,27,1,11
                eu-west-2,17,11,1
                """)
        #expect(milliseconds(members(["eu-central-1", "eu-west-1", "eu-west-2"]), leader: 1, matrix) == 17)
    }

    @Test func aSingleVoterWaitsForNobody() {
        #expect(milliseconds(members(["us-east-1"])) == 0)
    }

    @Test func learnersDoNotCountForTheMajority() {
        let near = members(["us-east-1", "us-east-1"], role: .learner, from: 10)
        #expect(milliseconds(members(["us-east-1", "eu-west-1", "ap-northeast-1"]) + near) == 70)
    }

    @Test func regionDiverseWaitsForItsRegionsAndForTheMajority() {
        let atHome = members(["us-east-1", "us-east-1", "us-east-1", "us-west-2", "eu-west-1"])
        #expect(milliseconds(atHome) == 1)
        #expect(milliseconds(atHome, .regionDiverse(minimumRegions: 2)) == 64)
        #expect(milliseconds(atHome, .regionDiverse(minimumRegions: 3)) == 70)
        #expect(milliseconds(atHome, .regionDiverse(minimumRegions: 4)) == nil)
        let apart = members(["us-east-1", "us-west-2", "eu-west-1"])
        #expect(milliseconds(apart, .regionDiverse(minimumRegions: 1)) == 64)
    }

    @Test func semiSynchronousCountsLearnersElsewhereButNoWitnesses() {
        let home = members(["us-east-1", "us-east-1", "us-east-1"])
        let learners = members(["us-west-2", "us-east-1", "eu-west-1"], role: .learner, from: 10)
        #expect(milliseconds(home + learners, .semiSynchronous(home: "us-east-1", remoteRegions: 1)) == 64)
        #expect(milliseconds(home + learners, .semiSynchronous(home: "us-east-1", remoteRegions: 2)) == 70)
        #expect(milliseconds(home + learners, .semiSynchronous(home: "us-east-1", remoteRegions: 3)) == nil)
        let witness = members(["us-west-2", "eu-west-1"], role: .witness, from: 20)
        #expect(milliseconds(home + witness, .semiSynchronous(home: "us-east-1", remoteRegions: 1)) == nil)
    }

    @Test func asynchronousCostsTheHomeRegionAlone() {
        let home = members(["us-east-1", "us-east-1", "us-east-1"])
        let learners = members(["ap-south-1"], role: .learner, from: 10)
        #expect(milliseconds(home + learners, .asynchronous(home: "us-east-1")) == 1)
    }
}
