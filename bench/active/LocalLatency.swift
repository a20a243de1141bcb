import BenchSupport
import Meridian
import MeridianCore
import MeridianRuntime

/// Commits and reads of all regions at once, each in its own copy, and how long a write takes to be seen elsewhere.
struct LocalLatency {
    let report: FigureReport
    let seconds: Int
    private static let regions: [Region] = ["us-east-1", "eu-west-1", "ap-northeast-1"]
    private static let ratePerSecond = 25.0
    private static let keys = 1_000

    func run() async throws {
        BenchRun.note("local commits …")
        let topology = try Topology.aws(Self.regions)
        let cluster = try await EmbeddedCluster(topology: topology)
        let table = Profile.table
        try await cluster.database(in: Self.regions[0]).create(table)
        let (writes, reads) = (Latencies(), Latencies())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (position, region) in Self.regions.enumerated() {
                let db = cluster.database(in: region)
                group.addTask {
                    // The regions take turns.
                    await Pause.sleep(for: .milliseconds(13 * position))
                    try await OpenLoop.run(ratePerSecond: Self.ratePerSecond, for: .seconds(seconds), into: writes) {
                        n in
                        let id = n % Self.keys * Self.regions.count + position
                        try await db.write {
                            try await $0.upsert(
                                Profile(id: id, name: "n", visits: 1, data: String(repeating: "x", count: 64)),
                                into: table)
                        }
                    }
                }
                group.addTask {
                    await Pause.sleep(for: .milliseconds(13 * position + 7))
                    try await OpenLoop.run(ratePerSecond: Self.ratePerSecond, for: .seconds(seconds), into: reads) {
                        n in
                        _ = try await db.read { try await $0.get(n % Self.keys, from: table) }
                    }
                }
            }
            try await group.waitForAll()
        }
        report.add("active.commit.local.p50", writes.percentile(50), "ms", .atMost, 2)
        report.add("active.commit.local.p99", writes.percentile(99), "ms")
        report.add("active.read.local.p50", reads.percentile(50), "ms", .atMost, 1)
        report.add("active.read.local.p99", reads.percentile(99), "ms")
        try await visibility(cluster)
        await cluster.shutdown()
    }

    /// From a receipt in one region until a read in another shows the row.
    private func visibility(_ cluster: EmbeddedCluster) async throws {
        BenchRun.note("seen elsewhere …")
        for (origin, destination) in [(0, 1), (0, 2)] {
            let (from, to) = (Self.regions[origin], Self.regions[destination])
            let (writer, reader) = (cluster.database(in: from), cluster.database(in: to))
            let delays = Latencies()
            for number in 0..<40 {
                let row = Profile(id: 1_000_000 + number + destination * 1_000, name: "v", visits: 0, data: "")
                try await writer.write { try await $0.insert(row, into: Profile.table) }
                let written = ContinuousClock.now
                var found: Profile?
                while found == nil {
                    await Pause.sleep(for: .milliseconds(1))
                    found = try await reader.read { try await $0.get(row.id, from: Profile.table) }
                }
                delays.record(ContinuousClock.now - written)
                await Pause.sleep(for: .milliseconds(Int.random(in: 1...30)))
            }
            let roundTrip = cluster.topology.matrix.roundTripNanoseconds(from: from, to: to)
            report.add("active.visible.\(from).\(to).roundTrip", Double(roundTrip) / 1e6, "ms")
            report.add("active.visible.\(from).\(to).p50", delays.percentile(50), "ms")
            report.add("active.visible.\(from).\(to).max", delays.percentile(100), "ms")
        }
    }
}
