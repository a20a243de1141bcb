import Foundation
import Meridian

struct Item: Codable, Sendable { var id: Int; var data: String }
let items = Table<Item>("items", key: \.id, locality: .regional(in: "local"))
let path = "/work/tp-data"
try? FileManager.default.removeItem(atPath: path)
let cluster = try await EmbeddedCluster(
    topology: .local(nodes: 3),
    configuration: ClusterConfiguration(storage: .directory(path), clock: .declared(.zero), simulatesLatency: false))
let db = cluster.database(in: "local")
try await db.create(items)
let payload = String(repeating: "x", count: 100)
func cpu() -> Double { Double(clock()) / 1e6 }
let one = CommandLine.arguments.contains("one")
for (clients, seconds) in one ? [(1, 5)] : [(1, 3), (64, 5), (64, 5), (1, 3)] {
    let start = ContinuousClock.now, c0 = cpu()
    let end = start + .seconds(seconds)
    let base = Int.random(in: 0..<(1 << 40)) * 1000
    let total = try await withThrowingTaskGroup(of: (Int, Duration).self) { group in
        for client in 0..<clients {
            group.addTask {
                var n = 0
                var q = Duration.zero
                while ContinuousClock.now < end {
                    let receipt = try await db.write { try await $0.upsert(Item(id: base + client * 10_000_000 + n, data: payload), into: items) }
                    q += receipt.latency.quorum
                    n += 1
                }
                return (n, q)
            }
        }
        var t = 0, q = Duration.zero
        for try await (n, d) in group { t += n; q += d }
        return (t, q)
    }
    let elapsed = ContinuousClock.now - start
    let s = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    print(clients, "clients:", Int(Double(total.0) / s), "commits/s, cpu/commit", (cpu() - c0) / Double(total.0) * 1e6, "us, quorum", total.1 / max(1, total.0))
}
await cluster.shutdown()
