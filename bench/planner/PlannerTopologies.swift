import Meridian
import MeridianCore
import MeridianPlacement

/// What the predictions are held against: topologies that differ in all that a prediction depends on. One to six
/// regions, one to five nodes in each, near and far, the AWS matrix and made-up ones, clocks from exact to 20 ms off,
/// every mode that the engine has.
struct PlannerTopology: Sendable {
    /// Part of the figures' names.
    var name: String
    var topology: Topology
    var epsilon: Duration = .microseconds(500)
    /// What is measured, one after the other.
    var runs: [Run]
    /// Whether staleness is compared, which takes a while: the system range must be as quiet as it usually is.
    var showsAge: Bool { ["america", "uneven", "singlesLine", "world5"].contains(name) }

    struct Run: Sendable {
        var mode: PlannedMode
        /// Of a global table the planner's own choice.
        var home: Region
        var placement = Placement.unrestricted
    }
}

extension PlannerTopology {
    private static func aws(
        _ name: String, _ regions: [Region], nodes: Int = 3, epsilon: Duration = .microseconds(500),
        jurisdictions: [Region: Jurisdiction] = [:], placement: Placement = .unrestricted, _ modes: PlannedMode...
    ) throws -> PlannerTopology {
        PlannerTopology(
            name: name, topology: try .aws(regions, nodesPerRegion: nodes, jurisdictions: jurisdictions),
            epsilon: epsilon, runs: modes.map { Run(mode: $0, home: regions[0], placement: placement) })
    }

    /// Regions `a`, `b` … with so many nodes each and round trips in milliseconds.
    private static func madeUp(
        _ name: String, nodes: [Int], _ rows: [[Double]], epsilon: Duration = .microseconds(500),
        _ modes: PlannedMode...
    ) throws -> PlannerTopology {
        let names: [Region] = ["a", "b", "c", "d", "e", "f"]
        let regions = Array(names.prefix(nodes.count))
        let matrix = try LatencyMatrix(regions: regions, roundTripMilliseconds: rows)
        let descriptors = zip(regions, nodes).map { RegionDescriptor($0, nodes: $1) }
        return PlannerTopology(
            name: name, topology: try Topology(regions: descriptors, matrix: matrix), epsilon: epsilon,
            runs: modes.map { Run(mode: $0, home: regions[0]) })
    }

    static func all() throws -> [PlannerTopology] {
        try oneRegion() + twoRegions() + threeRegions() + more()
    }

    private static func oneRegion() throws -> [PlannerTopology] {
        [
            PlannerTopology(
                name: "laptop", topology: try .local(nodes: 1), runs: [Run(mode: .synchronousZone, home: "local")]),
            PlannerTopology(
                name: "laptop3", topology: try .local(nodes: 3), epsilon: .zero,
                runs: [Run(mode: .synchronousZone, home: "local")]),
            try aws("virginia", ["us-east-1"], .synchronousZone),
            try aws("virginiaClock5", ["us-east-1"], epsilon: .milliseconds(5), .synchronousZone),
            try madeUp("wideZones", nodes: [3], [[3.4]], epsilon: .zero, .synchronousZone),
            try madeUp("fiveNodes", nodes: [5], [[0.5]], epsilon: .microseconds(100), .synchronousZone, .global),
        ]
    }

    private static func twoRegions() throws -> [PlannerTopology] {
        [
            try aws(
                "virginiaOhio", ["us-east-1", "us-east-2"], .synchronousZone, .semiSynchronous(remoteRegions: 1),
                .asynchronous, .global, .activeActive),
            try aws(
                "virginiaOhioClock20", ["us-east-1", "us-east-2"], epsilon: .milliseconds(20),
                .semiSynchronous(remoteRegions: 1)),
            try aws("irelandFrankfurtPairs", ["eu-west-1", "eu-central-1"], nodes: 2, .synchronousZone),
            try aws("virginiaSydney", ["us-east-1", "ap-southeast-2"], .asynchronous, .activeActive),
            try madeUp(
                "neighbours", nodes: [3, 1], [[1, 4], [4, 1]], .semiSynchronous(remoteRegions: 1), .activeActive),
        ]
    }

    private static func threeRegions() throws -> [PlannerTopology] {
        let america: [Region] = ["us-east-1", "us-east-2", "us-west-2"]
        return [
            try aws("america", america, .synchronousRegion, .global, .activeActive),
            try aws("americaClock2", america, epsilon: .milliseconds(2), .synchronousRegion, .activeActive),
            try aws("americaSemi2", america, .semiSynchronous(remoteRegions: 2)),
            try aws("atlantic", ["eu-central-1", "eu-west-1", "us-east-1"], .synchronousRegion),
            try aws("brazil", ["sa-east-1", "us-east-1", "us-east-2"], .synchronousRegion),
            try aws(
                "pacificSingles", ["ap-southeast-2", "ap-southeast-1", "ap-northeast-1"], nodes: 1, .synchronousRegion),
            try aws(
                "europeanLaw", ["eu-west-1", "eu-central-1", "us-east-1"],
                jurisdictions: ["eu-west-1": "EU", "eu-central-1": "EU"], placement: .restricted,
                .semiSynchronous(remoteRegions: 1)),
            try madeUp(
                "detour", nodes: [3, 3, 3], [[1, 10, 50], [10, 1, 10], [50, 10, 1]], .synchronousRegion,
                .asynchronous, .activeActive),
            try madeUp(
                "uneven", nodes: [5, 1, 3], [[0.8, 30, 18], [30, 1, 25], [18, 25, 2]], .synchronousRegion,
                .synchronousZone, .activeActive),
        ]
    }

    private static func more() throws -> [PlannerTopology] {
        let star: [[Double]] = [[1, 20, 35, 50], [20, 1, 55, 70], [35, 55, 1, 85], [50, 70, 85, 1]]
        let line = square(5) { $0 == $1 ? 0.3 : Double(abs($0 - $1)) * 12 }
        let ring = square(6) { $0 == $1 ? 1 : Double(min(abs($0 - $1), 6 - abs($0 - $1))) * 15 }
        let five: [Region] = ["us-east-1", "eu-central-1", "sa-east-1", "ap-south-1", "ap-northeast-1"]
        let six: [Region] = ["eu-west-1", "us-east-1", "us-west-2", "ap-south-1", "ap-northeast-1", "sa-east-1"]
        // Tokyo has no copy, and Oregon's is nearer than the leaseholder.
        let tokyo: [Region] = ["us-east-1", "us-east-2", "us-west-2", "ap-northeast-1"]
        var found = [try aws("americaTokyo", tokyo, .synchronousRegion)]
        found.append(try madeUp("star", nodes: [3, 2, 2, 2], star, .global, .semiSynchronous(remoteRegions: 1)))
        found.append(
            try madeUp("singlesLine", nodes: [1, 1, 1, 1, 1], line, .synchronousRegion, .synchronousZone))
        found.append(try aws("world5", five, .synchronousRegion, .activeActive))
        found.append(try aws("world6Singles", six, nodes: 1, .asynchronous))
        found.append(try madeUp("ring6", nodes: [2, 2, 2, 2, 2, 2], ring, .global, .synchronousRegion, .activeActive))
        return found
    }

    private static func square(_ count: Int, _ cell: (Int, Int) -> Double) -> [[Double]] {
        (0..<count).map { i in (0..<count).map { j in cell(i, j) } }
    }
}
