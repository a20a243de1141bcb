import BenchSupport
import Meridian
import MeridianRuntime

/// Kills the node that holds a lease while clients write, and measures how long nobody is acknowledged.
struct DemoFailover: Sendable {
    let cluster: EmbeddedCluster
    let ledger: DemoLedger

    struct Outcome: Sendable {
        var mode: String
        var region: Region
        var killed: String
        var successor: String
        /// From the call that kills to the first write that was acknowledged after the node was dead.
        var gap: Duration
        var acknowledged: Int
        /// Calls that ended with an error; their writes may or may not be there.
        var failed: Int
        /// Of all writes that were acknowledged since the demo began, read back while the node was still dead.
        var lost: Int
    }

    private static let writerCount = 4
    private static let patience = Duration.seconds(20)

    /// What the writers tell.
    private struct Progress {
        var acknowledgements: [ContinuousClock.Instant] = []
        var failures = 0
        var isOver = false
    }

    func killLeaseholder(of mode: CommitMode, in region: Region) async throws -> Outcome {
        let node = try await leaseholder(mode, region)
        let progress = Locked(Progress())
        let (killing, dead) = try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.writerCount {
                group.addTask { await write(mode, region, progress) }
            }
            await Pause.sleep(for: .seconds(1))
            let killing = ContinuousClock.now
            await cluster.kill(node)
            let dead = ContinuousClock.now
            while firstAcknowledgement(after: dead, progress) == nil, ContinuousClock.now < dead + Self.patience {
                await Pause.sleep(for: .milliseconds(5))
            }
            // The new leaseholder must keep going.
            await Pause.sleep(for: .milliseconds(500))
            progress.with { $0.isOver = true }
            try await group.waitForAll()
            return (killing, dead)
        }
        guard let next = firstAcknowledgement(after: dead, progress) else {
            throw MeridianError(
                .unavailable,
                "no write in \(region) was acknowledged for \(Self.patience) after \(name(node)) was killed")
        }
        let lost = try await ledger.lostCount()
        let successor = try await leaseholder(mode, region)
        try await cluster.start(node)
        return Outcome(
            mode: mode.title, region: region, killed: name(node), successor: name(successor), gap: next - killing,
            acknowledged: progress.with { $0.acknowledgements.count }, failed: progress.with { $0.failures }, lost: lost
        )
    }

    private func write(_ mode: CommitMode, _ region: Region, _ progress: Locked<Progress>) async {
        while !progress.with({ $0.isOver }) {
            do {
                try await ledger.write(mode, home: region, from: region)
                progress.with { $0.acknowledgements.append(.now) }
            } catch {
                progress.with { $0.failures += 1 }
            }
            await Pause.sleep(for: .milliseconds(5))
        }
    }

    private func firstAcknowledgement(
        after instant: ContinuousClock.Instant, _ progress: Locked<Progress>
    ) -> ContinuousClock.Instant? {
        progress.with { progress in progress.acknowledgements.filter { $0 > instant }.min() }
    }

    private func leaseholder(_ mode: CommitMode, _ region: Region) async throws -> NodeID {
        let end = ContinuousClock.now + Self.patience
        while ContinuousClock.now < end {
            if let node = try await cluster.leaseholder(of: mode.table, in: region) { return node }
            await Pause.sleep(for: .milliseconds(10))
        }
        throw MeridianError(.unavailable, "nobody holds the lease on \(mode.table.name) in \(region)")
    }

    private func name(_ node: NodeID) -> String { cluster.topology.node(node)?.name ?? "\(node)" }
}
