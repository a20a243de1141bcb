import BenchSupport
import Meridian

/// The demo from start to end: a cluster, rows under five laws, what commits cost, a crash, and an audit.
///
/// Each part measures in a file of its own and prints in `Demo+Text.swift`, which also reports its figures.
struct Demo: Sendable {
    let cluster: EmbeddedCluster
    let ledger: DemoLedger
    let latency: DemoLatency
    let screen: Screen
    let report: FigureReport

    /// - Returns: whether nothing was lost and nothing leaked.
    static func run(
        in files: DemoDirectory, seed: UInt64, screen: Screen, report: FigureReport
    ) async throws -> Bool {
        let start = ContinuousClock.now
        let topology = try DemoWorld.topology()
        let cityFile = try CityFile.bytes()
        let cities = try CityFile.cities(in: cityFile)
        screen.line("Meridian demo: \(topology.regions.count) regions, \(topology.nodes.count) nodes in one process")
        let cluster = try await EmbeddedCluster(
            topology: topology,
            configuration: ClusterConfiguration(
                storage: .directory(files.path), clock: .declared(DemoWorld.clockError), jitter: 0.02, seed: seed))
        report.add("demo.start", (ContinuousClock.now - start) / .seconds(1), "s")
        let lost: Int
        do {
            let ledger = DemoLedger(cluster: cluster)
            let landmarks = Dictionary(cities.map { (Region($0.region), $0.id) }) { first, _ in first }
            let demo = Demo(
                cluster: cluster, ledger: ledger,
                latency: DemoLatency(cluster: cluster, ledger: ledger, landmarks: landmarks), screen: screen,
                report: report)
            demo.describe(files)
            lost = try await demo.perform(cities, isResumed: files.isResumed)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
        screen.note("cluster stopped; auditing its files")
        let residency = DemoResidency(
            topology: topology, directory: files.path, cities: cities, cityFile: cityFile, seed: seed)
        let audit = try await residency.audit()
        show(audit, of: cities.count, screen, report)
        let isSound =
            lost == 0 && audit.rowsOutside == 0 && audit.entriesOutside == 0 && audit.canariesOutside == 0
            && audit.canariesMissed == 0 && audit.found == cities.count
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        report.add("demo.duration", seconds, "s", .atMost, 120)
        screen.line()
        let verdict = isSound ? "nothing was lost, nothing leaked" : "DATA WAS LOST OR LEAKED, see above"
        screen.line("Done in \(Decimals.fixed(seconds)) s: \(verdict).")
        if !files.isTemporary { screen.line("The files stay in \(files.path); the next run goes on from them.") }
        return isSound
    }

    /// All that needs the cluster.
    /// - Returns: how many acknowledged writes are lost.
    private func perform(_ cities: [City], isResumed: Bool) async throws -> Int {
        // Tables are made one after the other, meanwhile the cities are loaded.
        async let tables: Void = makeTables()
        let loading = DemoCities(cluster: cluster, cities: cities)
        let loaded = try await loading.load(isResumed: isResumed, screen: screen)
        try await tables
        show(loaded, of: cities)

        screen.note("reading and writing from every region to every region's rows")
        async let reads = latency.reads()
        async let writes = latency.writes()
        show(reads: try await reads, writes: try await writes)

        screen.note("comparing commit rules")
        try await compareModes()
        try await showAnatomy()

        screen.note("killing leaseholders")
        let failover = DemoFailover(cluster: cluster, ledger: ledger)
        var outcomes = [try await failover.killLeaseholder(of: .zone, in: "eu-central-1")]
        outcomes.append(try await failover.killLeaseholder(of: .region, in: "us-east-1"))
        // A write that was missing while its leaseholder was dead is lost even if it comes back with the node.
        let missed = outcomes.map(\.lost).max() ?? 0
        let lost = max(try await ledger.lostCount(), missed) + max(cities.count - loaded.total, 0)
        show(outcomes, lost: lost)
        return lost
    }

    private func makeTables() async throws {
        for mode in CommitMode.all { try await cluster.database(in: DemoWorld.regions[0]).create(mode.table) }
    }

    private func compareModes() async throws {
        var rows: [ModeRow] = []
        for mode in CommitMode.all {
            let samples = try await latency.commits(mode)
            for region in cluster.topology.regions {
                guard let sample = samples[region] else { continue }
                let floor = try latency.floor(of: mode, home: region).milliseconds
                rows.append(ModeRow(mode: mode, home: region, median: sample.median, floor: floor))
            }
        }
        show(rows)
    }

    /// One commit's receipt for each of three distances: of five, the one whose total is the median.
    private func showAnatomy() async throws {
        let journeys: [(String, CommitMode, home: Region, client: Region)] = [
            ("at home, zone survival", .zone, "eu-central-1", "eu-central-1"),
            ("at home, region survival", .region, "eu-central-1", "eu-central-1"),
            ("from sa-east-1, region survival", .region, "eu-central-1", "sa-east-1"),
        ]
        var receipts: [(String, Receipt)] = []
        for (title, mode, home, client) in journeys {
            var five: [Receipt] = []
            for _ in 0..<5 { five.append(try await ledger.write(mode, home: home, from: client)) }
            receipts.append((title, five.sorted { $0.latency.total < $1.latency.total }[2]))
        }
        show(receipts)
    }

    /// What a commit rule costs in one home region, in milliseconds.
    struct ModeRow {
        var mode: CommitMode
        var home: Region
        var median: Double
        var floor: Double

        /// Asynchronous commits have a goal of their own, the others what the floor leaves.
        var limit: Double { mode.name == CommitMode.asynchronous.name ? 2 : floor + 2 }
    }
}
