import MeridianCore
import Testing

@Suite struct TopologyTests {
    private func error(_ make: () throws(MeridianError) -> Topology) -> MeridianError? {
        do {
            _ = try make()
            return nil
        } catch {
            return error
        }
    }

    @Test func awsTopologyNumbersNodesFromOneInOrder() throws {
        let topology = try Topology.aws(["us-east-1", "eu-west-1"], nodesPerRegion: 4)
        #expect(topology.regions == ["us-east-1", "eu-west-1"])
        #expect(topology.nodes.map(\.id.rawValue) == Array(1...8))
        #expect(
            topology.nodes(in: "us-east-1").map(\.name) == ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1a2"])
        #expect(topology.zones(in: "eu-west-1") == ["a", "b", "c"])
        #expect(topology.node(named: "eu-west-1b")?.id == NodeID(6))
        #expect(topology.node(NodeID(9)) == nil)
    }

    @Test func regionsAreUnderTheirOwnLawUnlessOneIsShared() throws {
        let topology = try Topology.aws(
            ["us-east-1", "eu-west-1", "eu-central-1"], jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"])
        #expect(topology.jurisdiction(of: "us-east-1") == "us-east-1")
        #expect(topology.regions(in: "EU") == ["eu-west-1", "eu-central-1"])
    }

    @Test func regionsOfDifferentShapesCanBeMixed() throws {
        let topology = try Topology(
            regions: [
                RegionDescriptor("paris", nodes: 2, zones: ["north", "south"], jurisdiction: "EU"),
                RegionDescriptor("oslo", nodes: 1),
            ],
            matrix: .uniform(regions: ["paris", "oslo"], milliseconds: 28))
        #expect(topology.nodes.map(\.name) == ["paris-north", "paris-south", "oslo-a"])
        #expect(topology.jurisdiction(of: "oslo") == "oslo")
        #expect(topology.regionsByDistance(from: "oslo") == ["oslo", "paris"])
    }

    @Test func localNodesStandInZonesOfTheirOwnWithoutDistance() throws {
        let topology = try Topology.local(nodes: 28)
        #expect(topology.regions == ["local"])
        #expect(topology.zones(in: "local").count == 28)
        #expect(topology.nodes.last?.name == "local-ab")
        #expect(topology.matrix.roundTripNanoseconds(from: "local", to: "local") == 0)
    }

    @Test func regionsComeByDistanceAndEqualsInTheirOrder() throws {
        let topology = try Topology.aws(["ap-northeast-1", "us-east-1", "eu-west-1", "us-west-2"])
        #expect(
            topology.regionsByDistance(from: "us-east-1") == ["us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"])
        let even = try Topology(
            regions: [RegionDescriptor("c"), RegionDescriptor("a"), RegionDescriptor("b")],
            matrix: .uniform(regions: ["a", "b", "c"], milliseconds: 10))
        #expect(even.regionsByDistance(from: "b") == ["b", "c", "a"])
    }

    @Test func unknownRegionIsRefusedWithTheNearestName() {
        let failure = error { () throws(MeridianError) in try .aws(["us-east-1", "eu-wset-1"]) }
        #expect(failure?.code == .unknownRegion)
        #expect(failure?.message.contains("Did you mean \"eu-west-1\"?") == true)
        let distant = error { () throws(MeridianError) in try .aws(["moon-base-1"]) }
        #expect(distant?.code == .unknownRegion)
        #expect(distant?.message.contains("Did you mean") == false)
        let law = error { () throws(MeridianError) in try .aws(["eu-west-1"], jurisdictions: ["eu-west-2": "EU"]) }
        #expect(law?.code == .unknownRegion)
        #expect(law?.message.contains("Did you mean \"eu-west-1\"?") == true)
    }

    @Test func impossibleTopologiesAreRefused() {
        func node(_ id: UInt32, _ name: String, _ region: Region = "a", zone: Zone = "z") -> NodeDescriptor {
            NodeDescriptor(id: NodeID(id), name: name, region: region, zone: zone)
        }
        let cases: [([NodeDescriptor], String)] = [
            ([], "no nodes"),
            ([node(1, "x"), node(2, "x")], "both named \"x\""),
            ([node(1, "x"), node(1, "y")], "share the id n1"),
            ([node(0, "x")], "ids start at 1"),
            ([node(1, "")], "empty name"),
            ([node(1, "x", "")], "region with an empty name"),
            ([node(1, "x", zone: "")], "zone with an empty name"),
        ]
        for (nodes, fragment) in cases {
            let failure = error { () throws(MeridianError) in try Topology(nodes: nodes, matrix: .none) }
            #expect(failure?.code == .invalidTopology)
            #expect(failure?.message.contains(fragment) == true, "\(failure?.message ?? "accepted")")
        }
    }

    @Test func impossibleRegionsAreRefused() {
        let cases: [([RegionDescriptor], String)] = [
            ([], "no regions"),
            ([RegionDescriptor("a", nodes: 0)], "0 nodes"),
            ([RegionDescriptor("a", zones: [])], "no zones"),
            ([RegionDescriptor("a", zones: ["z", "z"])], "zone \"z\" twice"),
            ([RegionDescriptor("a"), RegionDescriptor("a")], "region \"a\" is named twice"),
        ]
        for (regions, fragment) in cases {
            let failure = error { () throws(MeridianError) in try Topology(regions: regions, matrix: .none) }
            #expect(failure?.code == .invalidTopology)
            #expect(failure?.message.contains(fragment) == true, "\(failure?.message ?? "accepted")")
        }
        let none = error { () throws(MeridianError) in try .local(nodes: 0) }
        #expect(none?.code == .invalidTopology)
    }
}
