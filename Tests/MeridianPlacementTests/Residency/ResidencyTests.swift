import MeridianCore
import MeridianPlacement
import Testing

@Suite struct ResidencyTests {
    private func fixture(_ jurisdiction: Jurisdiction?) throws -> (Residency, RangeDescriptor) {
        let topology = try Topology.aws(
            ["us-east-1", "eu-west-1", "eu-central-1"], nodesPerRegion: 1,
            jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"])
        let range = RangeDescriptor(
            id: RangeID(5), span: KeySpan(prefix: [1]), table: TableID(7), home: "eu-west-1",
            members: [Member(node: NodeID(2), region: "eu-west-1", role: .voter)], commitRule: .majority,
            jurisdiction: jurisdiction)
        return (Residency(topology: topology), range)
    }

    @Test func onlyNodesUnderTheRangesLawMayHoldIt() throws {
        let (residency, range) = try fixture("EU")
        #expect((1...4).map { residency.isAllowed(node: NodeID($0), for: range) } == [false, true, true, false])
    }

    @Test func anyKnownNodeMayHoldAnUnrestrictedRange() throws {
        let (residency, range) = try fixture(nil)
        #expect((1...4).map { residency.isAllowed(node: NodeID($0), for: range) } == [true, true, true, false])
    }

    @Test func membersOutsideTheLawAreRefusedWhateverTheirRole() throws {
        let (residency, range) = try fixture("EU")
        for role in ReplicaRole.allCases {
            do {
                try residency.check([Member(node: NodeID(1), region: "us-east-1", role: role)], for: range)
                Issue.record("accepted a \(role)")
            } catch {
                #expect(error.code == .jurisdictionViolation)
                for fragment in ["us-east-1a", "r5", "EU", "eu-west-1, eu-central-1"] {
                    #expect(error.message.contains(fragment), "\(error.message)")
                }
            }
        }
        try residency.check([Member(node: NodeID(3), region: "eu-central-1", role: .witness)], for: range)
    }

    @Test func membersMayNotClaimARegionThatIsNotTheirs() throws {
        let (residency, range) = try fixture("EU")
        #expect(throws: MeridianError.self) {
            try residency.check([Member(node: NodeID(1), region: "eu-west-1", role: .learner)], for: range)
        }
        #expect(throws: MeridianError.self) {
            try residency.check([Member(node: NodeID(9), region: "eu-west-1", role: .learner)], for: range)
        }
    }
}
