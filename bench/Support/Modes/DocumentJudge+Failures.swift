/// What the document says of regions that are lost, and of conflicts.
extension DocumentJudge {
    private func writes(_ count: Int) -> String { ModesText.count(count, "write") }
    private var oneWay: Double { nearest / 2 }

    var failures: [DocumentClaim] {
        var claims: [DocumentClaim] = []
        if let mode = run[.synchronousRegion], let missing = mode.loss.missing {
            claims.append(
                nothingLost(
                    mode, missing, "synchronous: zero data loss",
                    agrees: "Every acknowledged write was on disk in a second region before its client heard of it."))
        }
        if let mode = run[.semiSynchronous], let missing = mode.loss.missing {
            claims.append(
                nothingLost(
                    mode, missing, "semi-synchronous: zero if quorum survives",
                    agrees: "The remote copies that had acknowledged it survived, and one of them was promoted."))
        }
        if let mode = run[.asynchronous] { claims += asynchronous(mode) }
        return claims
    }

    private func nothingLost(
        _ mode: ModeFigures, _ missing: Int, _ says: String, agrees: String
    ) -> DocumentClaim {
        DocumentClaim(
            Self.strategies, says, measured: "\(writes(missing)) lost with the home region", value: Double(missing),
            in: 0...0, agrees: agrees, less: agrees, more: "Acknowledged writes are gone: a bug.")
    }

    private func asynchronous(_ mode: ModeFigures) -> [DocumentClaim] {
        var claims: [DocumentClaim] = []
        if let missing = mode.loss.missing, let age = mode.loss.missingAge {
            let stated = mode.loss.stated.map { ", the failover's report says at most \(ms($0))" } ?? ""
            let measured = "\(writes(missing)) lost, the oldest acknowledged \(ms(age)) before the loss\(stated)"
            claims.append(
                DocumentClaim(
                    Self.strategies, "asynchronous: data loss up to replication lag", measured: measured,
                    value: age, in: 0...mode.staleness.p99,
                    agrees:
                        "It is what was on the way: the nearest copy is \(ms(oneWay)) away, and \(mode.loss.reported) "
                        + "of \(mode.loss.missingAfterReturn) were reported when the region came back.",
                    less: "Nothing was on the way.",
                    more: "More than any local read's staleness was lost: the copies were behind."))
            claims.append(
                DocumentClaim(
                    Self.passive, "RPO: seconds to minutes", measured: ms(age), value: age, in: 1000...600_000,
                    agrees: "The copies were that far behind.",
                    less: "The log is shipped write by write, not in batches: what is lost is what was on a way of "
                        + "\(ms(oneWay)) when the region died.",
                    more: "The copies were minutes behind."))
        }
        if let recovery = mode.loss.recovery {
            claims.append(
                DocumentClaim(
                    Self.passive, "RTO: 1–30 minutes (DNS TTL + promotion time)",
                    measured: "\(ms(recovery)) to the first write elsewhere", value: recovery,
                    in: 60_000...1_800_000,
                    agrees: "Noticing and promotion took as long as the document says.",
                    less: "No DNS record has to expire, because clients know the other regions, and nobody is called: "
                        + "the home's authority runs out by itself, and the nearest copy is promoted.",
                    more: "The promotion took longer than half an hour."))
        }
        return claims
    }

    // MARK: Active-active

    var convergence: [DocumentClaim] {
        var claims: [DocumentClaim] = []
        if let mode = run[.activeActive] {
            claims += activeActive(mode)
            claims.append(lastWriterWins(mode))
        }
        if let mode = run[.activeActiveCounters] {
            claims.append(
                DocumentClaim(
                    Self.resolution, "counters converge to the sum of all regions' increments",
                    measured: "\(mode.lostUpdates) of \(mode.increments) increments missing from the sum",
                    value: Double(mode.lostUpdates), in: 0...0,
                    agrees: "Each region's share is kept apart and merged by addition.",
                    less: "The rows show increments that no client had an acknowledgement of.",
                    more: "Increments are missing: a bug."))
        }
        return claims
    }

    private func activeActive(_ mode: ModeFigures) -> [DocumentClaim] {
        var claims = [
            DocumentClaim(
                Self.active, "latency: local region (~5 ms)",
                measured: "writes p50 \(ms(mode.write.p50)), reads p50 \(ms(mode.read.p50)), clients of all regions",
                value: mode.write.p50, in: 2.5...10,
                agrees: "Each region commits in its own three zones.",
                less: "Each region commits in its own zones, and client and node stand in one place here; the "
                    + "document's figure has the way from the user in it.",
                more: "The p99 of \(ms(mode.write.p99)) shows that something else held it up.")
        ]
        if let recovery = mode.loss.recovery {
            let client = mode.loss.clientRecovery.map { ", \(ms($0)) for a client of the lost region" } ?? ""
            claims.append(
                DocumentClaim(
                    Self.active, "RTO: near zero", measured: "\(ms(recovery)) elsewhere\(client)", value: recovery,
                    in: 0...1000, agrees: "Nobody has to be elected or promoted: every region was writing already.",
                    less: "Nobody has to be elected.", more: "Other regions stood still, which this mode should not."))
        }
        if let missing = mode.loss.missing, let age = mode.loss.missingAge {
            claims.append(
                DocumentClaim(
                    Self.active, "RPO: zero for local writes; replication lag for cross-region",
                    measured: "\(writes(missing)) not seen elsewhere while the region was away (the oldest \(ms(age)) "
                        + "old), \(mode.loss.missingAfterReturn) after its return",
                    value: Double(mode.loss.missingAfterReturn), in: 0...0,
                    agrees: "What had not been shipped waits on the lost region's disks, and is merged when they "
                        + "return.",
                    less: "Nothing was missing.", more: "Writes are missing after the return: a bug."))
        }
        return claims
    }

    /// The document expects that something is lost, and that nobody hears of it.
    private func lastWriterWins(_ mode: ModeFigures) -> DocumentClaim {
        DocumentClaim(
            Self.resolution, "last write wins: the other write is silently discarded",
            measured: "\(mode.lostUpdates) of \(mode.increments) increments lost; conflicts(of:) lists "
                + ModesText.count(mode.conflicts.count, "conflict"),
            value: mode.conflicts.count > 0 ? -1 : Double(mode.lostUpdates), in: 1...Double.infinity,
            agrees: "Concurrent increments overwrote each other, and nothing was listed.",
            less: mode.conflicts.count > 0
                ? "The loser is discarded, but not silently: it is listed with its row."
                : "No two regions wrote one row at once in this run.",
            more: "")
    }
}
