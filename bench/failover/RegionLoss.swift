import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianRuntime

/// A whole home region is lost under load, again and again: all its nodes are killed at once, a client in another
/// region goes on asking, and the region comes back and gets its rows again.
///
/// The loss begins before the first node is killed. A write counts for the time to recover if it began after the last
/// one was dead, so what was on its way back from the old home does not count.
struct RegionLoss {
    let name: String
    let regions: [Region]
    /// Where the client is that outlives the loss.
    let survivor: Region
    let mode: ReplicationMode
    var survival = SurvivalGoal.zone
    var failover = FailoverPolicy.manual
    /// For how long the region is cut off from all others before it dies. Its own clients are served meanwhile.
    var partition = Duration.zero
    let rounds: Int

    static let home: Region = "us-east-1"
    static let homeRate = 200.0
    static let survivorRate = 50.0

    var isAutomatic: Bool { survival == .region || failover == .automatic }

    func run() async throws -> [LossRound] {
        let cluster = try await EmbeddedCluster(topology: .aws(regions))
        do {
            let table = Table<FailoverItem>(
                "items", key: \.id, locality: .regional(in: Self.home), survival: survival, mode: mode,
                failover: failover)
            try await cluster.database(in: Self.home).create(table)
            let stage = Stage(scenario: self, cluster: cluster, table: table)
            var results: [LossRound] = []
            for number in 0..<rounds {
                results.append(try await stage.round(known: Set(results.flatMap(\.missing))))
                BenchRun.note("\(name) \(number + 1)/\(rounds): \(results[number].summary)")
            }
            await cluster.shutdown()
            return results
        } catch {
            await cluster.shutdown()
            throw error
        }
    }
}

/// What one loss has cost.
struct LossRound: Sendable {
    /// Milliseconds to the first new success of the client that is left: from the loss, or from the call by hand.
    var recovery = 0.0
    /// Writes of that client that were answered with an error.
    var failed = 0
    /// The rows of acknowledged commits that were gone.
    var missing: [Int] = []
    /// The age of the oldest of these commits at the loss, in milliseconds.
    var lost = 0.0
    /// How far the best copy lagged just before, in milliseconds.
    var lag = 0.0
    /// How much can be lost at most, as the failover says, in milliseconds; `nil` where it cannot know.
    var stated: Double?
    /// How old what the failover calls complete was at the loss, in milliseconds.
    var incomplete = 0.0
    /// Missing commits that lie outside of what the failover said may be lost.
    var outside = 0
    /// Missing commits that the old home did not report when it was back.
    var unreported = 0
    /// Missing commits that it reported as on their way, though their client had been told.
    var doubted = 0
    var failBackFailed = 0
    /// Milliseconds without a success while the old home came back and got its rows again.
    var failBackGap = 0.0
    /// How long that took, in milliseconds.
    var failBack = 0.0

    var summary: String {
        let most = stated.map { "\(Int($0)) ms" } ?? "nothing"
        return "recovered in \(Int(recovery)) ms, \(failed) failed; \(missing.count) commits of \(Int(lost)) ms lost, "
            + "lag \(Int(lag)) ms, stated \(most), old by \(Int(incomplete)) ms, unreported \(unreported), "
            + "doubted \(doubted); back in \(Int(failBack)) ms, \(failBackFailed) failed, gap \(Int(failBackGap)) ms"
    }
}
