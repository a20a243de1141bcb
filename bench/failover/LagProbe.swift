import BenchSupport
import Foundation
import Meridian
import MeridianCore
import MeridianRuntime

/// How far the copies outside of a home region lag, as their readers see it: the age of the freshest state that the
/// best of them serves near by, which is what `boundedStaleness` reads of it.
///
/// A failover of an asynchronous table goes on from the best copy, so what it loses is younger than this, provided that
/// copies do not serve what they do not have. Shipping itself is a little faster than what readers see: a copy serves
/// up to the last timestamp that the leaseholder has closed.
final class LagProbe: Sendable {
    private let cluster: EmbeddedCluster
    private let table: Table<FailoverItem>
    private let home: Region
    private let isStopped = Locked(false)
    private let samples = Locked<[(at: Int64, timestamp: Int64)]>([])
    private static let interval = Duration.milliseconds(4)

    init(_ cluster: EmbeddedCluster, _ table: Table<FailoverItem>, home: Region) {
        (self.cluster, self.table, self.home) = (cluster, table, home)
    }

    func stop() { isStopped.with { $0 = true } }

    func run() async {
        await withDiscardingTaskGroup { group in
            for region in cluster.topology.regions where region != home {
                group.addTask { await self.run(in: region) }
            }
        }
    }

    private func run(in region: Region) async {
        let database = cluster.database(in: region)
        while !isStopped.with({ $0 }) {
            let now = WallClock.nanoseconds()
            let seen = try? await database.read(.boundedStaleness(.seconds(60)), deadline: .seconds(1)) { tx in
                _ = try await tx.get(0, from: table)
                return tx.timestamp
            }
            if let seen { samples.with { $0.append((now, seen.rawValue)) } }
            await Pause.sleep(for: Self.interval)
        }
    }

    /// The largest lag in the time before a moment, and that at the moment itself, in milliseconds.
    func lag(before moment: Int64, window: Duration = .milliseconds(500)) -> Double {
        var (best, largest) = (Int64.min, Int64.min)
        for sample in samples.with({ $0 }).filter({ $0.at <= moment }).sorted(by: { $0.at < $1.at }) {
            best = max(best, sample.timestamp)
            if sample.at >= moment - window.nanoseconds { largest = max(largest, sample.at - best) }
        }
        guard best > .min else { return .infinity }
        return Double(max(largest, moment - best)) / 1e6
    }
}

/// The clock that commits' timestamps are drawn from, in nanoseconds since 1970.
enum WallClock {
    static func nanoseconds() -> Int64 { Int64(Date().timeIntervalSince1970 * 1e9) }
}
