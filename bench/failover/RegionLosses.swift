import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement

/// The losses of a home region in every mode, and what must hold after each.
struct RegionLosses {
    let rounds: Int
    let report: FigureReport
    /// Of the names of those that are played.
    let prefix: String

    /// Quorum 12 ms away.
    private static let near: [Region] = ["us-east-1", "us-east-2", "us-west-2"]
    /// Copies a continent or an ocean away, so that a crash under load finds commits on their way.
    private static let far: [Region] = ["us-east-1", "us-west-2", "eu-west-1"]

    private func losses() -> [RegionLoss] {
        [
            RegionLoss(
                name: "synchronous", regions: Self.near, survivor: "us-east-2", mode: .synchronous, survival: .region,
                rounds: rounds),
            RegionLoss(
                name: "semiSynchronous", regions: Self.far, survivor: "eu-west-1",
                mode: .semiSynchronous(remoteRegions: 1), failover: .automatic, rounds: rounds),
            RegionLoss(
                name: "asynchronous", regions: Self.far, survivor: "eu-west-1", mode: .asynchronous,
                failover: .automatic, rounds: rounds),
            RegionLoss(
                name: "asynchronous.partition", regions: Self.far, survivor: "eu-west-1", mode: .asynchronous,
                failover: .automatic, partition: .seconds(1), rounds: rounds),
            RegionLoss(
                name: "asynchronous.byHand", regions: Self.far, survivor: "eu-west-1", mode: .asynchronous,
                rounds: rounds),
        ]
    }

    /// - Returns: how many commits were lost against a mode's promise, or not reported, and how many writes failed on
    ///   the way back.
    func run() async throws -> Int {
        var broken = 0
        var all: [LossRound] = []
        for loss in losses() where loss.name.hasPrefix(prefix) {
            let results = try await loss.run()
            add(loss, results)
            broken += results.reduce(0) { $0 + $1.unreported + $1.outside }
            if loss.mode != .asynchronous { broken += results.reduce(0) { $0 + $1.missing.count } }
            all += results
        }
        let failed = all.reduce(0) { $0 + $1.failBackFailed }
        report.add("failover.failback.failedOperations", Double(failed), "1", .atMost, 0)
        report.add("failover.failback.gap.p50", median(all.map(\.failBackGap)), "ms")
        report.add("failover.failback.gap.max", all.map(\.failBackGap).max() ?? 0, "ms")
        report.add("failover.failback.duration.p50", median(all.map(\.failBack)) / 1000, "s")
        return broken + failed
    }

    private func add(_ loss: RegionLoss, _ results: [LossRound]) {
        let name = "failover.region.\(loss.name)"
        let recoveries = results.map { $0.recovery / 1000 }
        let slowest = recoveries.max() ?? 0
        switch (loss.survival, loss.mode) {
        case (.region, _):
            report.add("\(name).rto.p50", median(recoveries), "s", .atMost, 1.5)
            report.add("\(name).rto.max", slowest, "s", .atMost, 1.5)
        case (_, .asynchronous):
            report.add("\(name).rto.p50", median(recoveries), "s", .atMost, 5)
            report.add("\(name).rto.max", slowest, "s", .atMost, 5)
        default:
            report.add("\(name).rto.p50", median(recoveries), "s")
            report.add("\(name).rto.max", slowest, "s")
        }
        report.add("\(name).failedOperations", Double(results.reduce(0) { $0 + $1.failed }), "1")
        let commits = Double(results.reduce(0) { $0 + $1.missing.count })
        guard loss.mode == .asynchronous else {
            report.add("\(name).rpo.commits", commits, "1", .atMost, 0)
            return
        }
        report.add("\(name).rpo.commits", commits, "1")
        // Of the round that comes nearest to its limit, which is the lag of that round.
        if let worst = results.max(by: { $0.lost - $0.lag < $1.lost - $1.lag }) {
            report.add("\(name).rpo.milliseconds", worst.lost, "ms", .atMost, worst.lag)
        }
        report.add("\(name).rpo.milliseconds.max", results.map(\.lost).max() ?? 0, "ms")
        report.add("\(name).lag.milliseconds", results.map(\.lag).max() ?? 0, "ms")
        report.add("\(name).rpo.incompleteMilliseconds", results.map(\.incomplete).max() ?? 0, "ms")
        let stated = results.compactMap(\.stated)
        if let most = stated.max() { report.add("\(name).rpo.statedMilliseconds", most, "ms") }
        report.add("\(name).rpo.outsideStated", Double(results.reduce(0) { $0 + $1.outside }), "1", .atMost, 0)
        report.add("\(name).unreported", Double(results.reduce(0) { $0 + $1.unreported }), "1", .atMost, 0)
        report.add("\(name).reportedAsUncertain", Double(results.reduce(0) { $0 + $1.doubted }), "1")
    }

    private func median(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.sorted()[values.count / 2]
    }
}
