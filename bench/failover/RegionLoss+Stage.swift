import BenchSupport
import Meridian
import MeridianCore
import MeridianPlacement
import MeridianRuntime

extension RegionLoss {
    /// The cluster on which a scenario is played.
    struct Stage {
        let scenario: RegionLoss
        let cluster: EmbeddedCluster
        let table: Table<FailoverItem>
        let account = LossAccount()

        private var home: Region { RegionLoss.home }
        private var survivor: Database { cluster.database(in: scenario.survivor) }

        /// - Parameter known: the rows that earlier losses have taken.
        func round(known: Set<Int>) async throws -> LossRound {
            var round = LossRound()
            let loss = try await lose(&round)
            let found = Set(try await survivor.read(deadline: .seconds(30)) { try await $0.scan(table) }.map(\.id))
            let missing = account.acknowledged.filter { !found.contains($0.id) && !known.contains($0.id) }
            round.missing = missing.map(\.id)
            round.lost = missing.map { Double(loss - $0.timestamp.rawValue) / 1e6 }.max() ?? 0
            if scenario.survival != .region {
                guard let report = try await survivor.failovers(of: table).last else {
                    throw MeridianError(.unavailable, "\(scenario.name): there was no failover")
                }
                round.stated = report.lostAtMostMilliseconds
                round.incomplete = report.isLossless ? 0 : Double(loss - report.completeTo) / 1e6
                round.outside = missing.count { commit in
                    report.isLossless || commit.timestamp.rawValue <= report.completeTo
                        || report.fencedAt.map { commit.timestamp.rawValue >= $0 } ?? false
                }
            }
            try await comeBack(&round)
            try await compare(&round)
            return round
        }

        // MARK: The loss

        /// - Returns: the moment of the loss, in nanoseconds since 1970.
        private func lose(_ round: inout LossRound) async throws -> Int64 {
            let away = WritingClient(survivor, table, account, ratePerSecond: RegionLoss.survivorRate)
            let near = WritingClient(cluster.database(in: home), table, account, ratePerSecond: RegionLoss.homeRate)
            let probe = LagProbe(cluster, table, home: home)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await away.run() }
                group.addTask { await near.run() }
                group.addTask { await probe.run() }
                defer {
                    for client in [away, near] { client.stop() }
                    probe.stop()
                }
                await Pause.sleep(for: .seconds(1))
                while probe.lag(before: WallClock.nanoseconds()) > 500 { await Pause.sleep(for: .milliseconds(50)) }

                var begun = ContinuousClock.now
                if scenario.partition > .zero {
                    cluster.isolate(home)
                    await Pause.sleep(for: scenario.partition)
                }
                let loss = WallClock.nanoseconds()
                if scenario.partition == .zero { begun = .now }
                let outage = begun
                await killHome()
                let dead = ContinuousClock.now
                near.stop()
                probe.stop()
                round.lag = probe.lag(before: loss)

                if !scenario.isAutomatic {
                    begun = .now
                    try await survivor.failOver(table, from: home)
                }
                let recovered = try await wait("no write of \(scenario.survivor) succeeds after the loss") {
                    account.firstSuccess(of: scenario.survivor, begunAtOrAfter: dead)
                }
                round.recovery = (recovered - begun).milliseconds
                await Pause.sleep(for: .milliseconds(500))
                away.stop()
                try await group.waitForAll()
                round.failed = account.failures(of: scenario.survivor, begunAtOrAfter: outage)
                return loss
            }
        }

        private func killHome() async {
            await withDiscardingTaskGroup { group in
                for node in cluster.topology.nodes(in: home) { group.addTask { await cluster.kill(node.id) } }
            }
        }

        private func wait<Value>(_ what: String, until body: () async throws -> Value?) async throws -> Value {
            let end = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < end {
                if let value = try await body() { return value }
                await Pause.sleep(for: .milliseconds(5))
            }
            throw MeridianError(.deadlineExceeded, "\(scenario.name): \(what)")
        }

        // MARK: The way back

        /// The old home starts again and gets its rows, while clients write; with region survival it is given the lease
        /// without being asked.
        private func comeBack(_ round: inout LossRound) async throws {
            let clients = [scenario.survivor, home].map {
                WritingClient(cluster.database(in: $0), table, account, ratePerSecond: RegionLoss.survivorRate)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                defer { for client in clients { client.stop() } }
                group.addTask { await clients[0].run() }
                await Pause.sleep(for: .milliseconds(200))
                let begun = ContinuousClock.now
                cluster.heal(home)
                try await withThrowingDiscardingTaskGroup { nodes in
                    for node in cluster.topology.nodes(in: home) {
                        nodes.addTask { try await cluster.start(node.id) }
                    }
                }
                group.addTask { await clients[1].run() }
                if scenario.survival == .region {
                    _ = try await wait("the lease does not return to \(home)") { () -> Bool? in
                        guard let leader = try await cluster.leaseholder(of: table) else { return nil }
                        return cluster.topology.node(leader)?.region == home ? true : nil
                    }
                } else {
                    try await survivor.moveHome(of: table, to: home)
                }
                let ended = ContinuousClock.now
                await Pause.sleep(for: .milliseconds(500))
                for client in clients { client.stop() }
                try await group.waitForAll()
                round.failBack = (ended - begun).milliseconds
                round.failBackFailed = [scenario.survivor, home].reduce(0) {
                    $0 + account.failures(of: $1, begunAtOrAfter: begun)
                }
                round.failBackGap = account.longestGap(from: begun, to: ended + .milliseconds(500)).milliseconds
            }
        }

        // MARK: What the old home reports

        /// Holds what was missing against what the old home says that it had alone. A copy that comes back needs a
        /// moment for it.
        private func compare(_ round: inout LossRound) async throws {
            let end = ContinuousClock.now + .seconds(5)
            while true {
                let commits = try await cluster.unshippedCommits(of: table)
                let all = Set(commits.flatMap(Self.rows))
                let committed = Set(commits.filter(\.isCommitted).flatMap(Self.rows))
                round.unreported = round.missing.count { !all.contains($0) }
                round.doubted = round.missing.count { all.contains($0) && !committed.contains($0) }
                if round.unreported == 0 || ContinuousClock.now > end { return }
                await Pause.sleep(for: .milliseconds(50))
            }
        }

        private static func rows(_ commit: UnshippedCommit<FailoverItem>) -> [Int] {
            commit.changes.compactMap { if case .wrote(let row) = $0 { row.id } else { nil } }
        }
    }
}
