import ArgumentParser
import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement

/// `bench-routing`: to which region three ways of routing send clients, and what those clients see when it dies.
///
/// Clients live in the world's cities, as many in each as people do, and send a request a second to one of five
/// regions. How far a region is from a client follows from their distance, and from a detour that is drawn for each
/// country and region from those of the measured matrix. After some minutes one region dies without a word, for ten
/// minutes; or it answers half a second late. All in simulated time: the same seed gives the same figures on any
/// machine.
@main struct RoutingBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-routing", abstract: "Routing of clients: nearest region, death and return of a region.")

    @Option(help: "text or json.")
    var format = OutputFormat.text

    @Option(help: "How many clients there are.")
    var clients = 2000

    @Option(help: "Draws the clients, their resolvers and their detours.")
    var seed: UInt64 = 1

    static let regions: [Region] = ["us-east-1", "eu-central-1", "sa-east-1", "ap-south-1", "ap-northeast-1"]
    static let lost: Region = "us-east-1"

    func validate() throws {
        guard clients >= 100 else {
            throw ValidationError("\(clients) clients are too few for percentiles; 100 or more")
        }
    }

    func run() async throws {
        let report = FigureReport()
        let world = try RoutingWorld(clients: clients, seed: seed)
        report.add("routing.clients", Double(world.clients.count), "clients")
        report.add("routing.inflation", world.inflation, "times")
        report.add("routing.nearest.p50", world.percentile(50, of: world.clients.map { $0.best }), "ms")
        for kind in RoutingKind.allCases {
            BenchRun.note("\(kind.rawValue) …")
            add(kind, world, report)
        }
        try BenchRun.print(report, as: format)
    }

    private func add(_ kind: RoutingKind, _ world: RoutingWorld, _ report: FigureReport) {
        let name = "routing.\(kind.rawValue)"
        let death = RoutingRun.run(world, kind, .dies)
        report.add("\(name).nearest", death.nearestShare * 100, "%")
        report.add("\(name).extra.mean", death.extraMean, "ms")
        report.add("\(name).extra.p99", death.extra(99), "ms")
        report.add("\(name).death.affected", death.affectedShare * 100, "%")
        report.add("\(name).death.recover.p50", death.recovery(50), "s")
        report.add("\(name).death.recover.p90", death.recovery(90), "s")
        if kind == .measured {
            report.add("\(name).death.recover.p99", death.recovery(99), "s", .atMost, 5)
        } else {
            report.add("\(name).death.recover.p99", death.recovery(99), "s")
        }
        report.add("\(name).death.recover.max", death.recovery(100), "s")
        report.add("\(name).death.errors", death.errorsPerClient, "errors/client")
        report.add("\(name).return.p50", death.back(50), "s")
        report.add("\(name).return.p90", death.back(90), "s")
        report.add("\(name).return.share", death.backShare * 100, "%")
        let slow = RoutingRun.run(world, kind, .slows)
        report.add("\(name).slow.leave.p50", slow.recovery(50), "s")
        report.add("\(name).slow.leave.max", slow.recovery(100), "s")
        let changes = RoutingRun.run(world, kind, .pathsChange)
        report.add("\(name).changes.moved", changes.movesPerClientHour, "moves/client-hour")
        if kind == .path {
            report.add("\(name).changes.broken", changes.movesPerClientHour, "connections/client-hour")
            report.add("\(name).changes.brokenClients", changes.movedShare * 100, "%")
        }
    }
}
