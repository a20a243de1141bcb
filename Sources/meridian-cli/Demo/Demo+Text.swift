import BenchSupport
import Meridian

/// How each part of the demo is shown, and under which names its figures are reported.
extension Demo {
    private var regions: [Region] { cluster.topology.regions }

    func describe(_ files: DemoDirectory) {
        let kept = files.isTemporary ? "removed at the end" : files.isResumed ? "found there, and kept" : "kept"
        screen.line("Files: \(files.path) (\(kept)). Clock error ε: 0.5 ms, so no commit takes less than 2ε = 1 ms.")
        screen.section(
            "Round trips between the regions, ms",
            "How long the links are made, from a published table of AWS; each message takes up to 2 % longer.")
        var table = TextTable(["", "law"] + regions.map(\.rawValue))
        for region in regions {
            let cells = regions.map { other in
                Decimals.fixed(Double(cluster.topology.matrix.roundTripNanoseconds(from: region, to: other)) / 1e6, 0)
            }
            table.add([region.rawValue, cluster.topology.jurisdiction(of: region).rawValue] + cells)
        }
        screen.table(table)
    }

    func show(_ outcome: DemoCities.Outcome, of cities: [City]) {
        screen.section(
            "Cities, pinned to the jurisdiction of their country",
            outcome.loaded == 0
                ? "All of them were there from an earlier run: nothing to load."
                : "\(Decimals.grouped(outcome.loaded)) rows loaded in "
                    + "\(Decimals.fixed(outcome.loadTime / .seconds(1))) s, each from a client in its own region.")
        var table = TextTable(["home region", "law", "rows", "expected"])
        let expected = Dictionary(grouping: cities) { Region($0.region) }.mapValues(\.count)
        for region in regions {
            table.add([
                region.rawValue, cluster.topology.jurisdiction(of: region).rawValue,
                Decimals.grouped(outcome.rows[region] ?? 0), Decimals.grouped(expected[region] ?? 0),
            ])
        }
        screen.table(table)
        if outcome.loaded > 0 { report.add("demo.load", outcome.loadTime / .seconds(1), "s") }
        report.add("demo.loaded", Double(outcome.loaded), "rows")
    }

    func show(reads: [DemoLatency.Pair: Samples], writes: [DemoLatency.Pair: Samples]) {
        screen.section(
            "Strong reads, median ms",
            "The client is in the region on the left, the city in the region above. The floor is the round trip."
        )
        show(reads, "read")
        screen.section(
            "Writes, median ms",
            "The same for commits that survive the loss of a zone. The floor is the round trip and a quorum of 1 ms."
        )
        show(writes, "write")
    }

    private func show(_ samples: [DemoLatency.Pair: Samples], _ name: String) {
        var table = TextTable([""] + regions.map(\.rawValue))
        for client in regions {
            let cells = regions.map { home in
                guard let sample = samples[DemoLatency.Pair(client: client, home: home)] else { return "" }
                report.add("demo.\(name).\(client).\(home).p50", sample.median, "ms")
                return Decimals.fixed(sample.median)
            }
            table.add([client.rawValue] + cells)
        }
        screen.table(table)
    }

    func show(_ rows: [ModeRow]) {
        screen.section(
            "Commit rules, median ms of a commit from home, and the floor that physics sets",
            """
            zone: on two of three nodes at home; survives the loss of a zone.
            region: on three of five nodes in three regions; survives the loss of any region.
            semi-synchronous: on two nodes at home and in one other region, which has a copy when home is lost.
            asynchronous: on two nodes at home; other regions follow, and may lack the last commits when home is lost.
            The floor is the longer of the quorum's round trip and 2ε.
            """)
        var table = TextTable(["home region"] + CommitMode.all.flatMap { [$0.title, "floor"] })
        for region in regions {
            let cells = CommitMode.all.flatMap { mode in
                guard let row = rows.first(where: { $0.home == region && $0.mode.name == mode.name }) else {
                    return ["", ""]
                }
                return [Decimals.fixed(row.median), Decimals.fixed(row.floor, 0)]
            }
            table.add([region.rawValue] + cells)
        }
        screen.table(table)
        for row in rows {
            let name = "demo.commit.\(row.mode.name).\(row.home)"
            report.add(name + ".p50", row.median, "ms", .atMost, row.limit)
            report.add(name + ".floor", row.floor, "ms")
        }
    }

    func show(_ receipts: [(String, Receipt)]) {
        screen.section(
            "Where a commit's time goes, ms",
            """
            From the receipts of commits to rows of eu-central-1, each the median of five. The log is part of the
            quorum's time. Only what the clock's uncertainty adds after the quorum counts as commit wait.
            """)
        var table = TextTable(["client", "total", "route", "locks", "log", "quorum", "commit wait"])
        for (title, receipt) in receipts {
            let latency = receipt.latency
            let parts = [
                latency.total, latency.route, latency.locks, latency.log, latency.quorum, latency.commitWait,
            ]
            table.add([title] + parts.map { Decimals.fixed($0.milliseconds, 2) })
        }
        screen.table(table)
    }

    func show(_ outcomes: [DemoFailover.Outcome], lost: Int) {
        screen.section(
            "A leaseholder is killed while clients write",
            "The gap is the time from the kill to the next acknowledged write. Everything acknowledged is read back.")
        var table = TextTable(["rows", "killed", "successor", "gap, ms", "acknowledged", "failed calls", "lost"])
        for outcome in outcomes {
            table.add([
                outcome.mode + ", " + outcome.region.rawValue, outcome.killed, outcome.successor,
                Decimals.fixed(outcome.gap.milliseconds, 0), Decimals.grouped(outcome.acknowledged),
                String(outcome.failed), String(outcome.lost),
            ])
        }
        screen.table(table)
        screen.line()
        let count = ledger.acknowledgedCount
        screen.line(
            "  All \(Decimals.grouped(count)) notes of this run were read again after the restarts: \(lost) lost.")
        if let first = outcomes.first { report.add("demo.failover", first.gap.milliseconds, "ms", .atMost, 1500) }
        if let last = outcomes.last { report.add("demo.failover.region", last.gap.milliseconds, "ms", .atMost, 1500) }
        report.add("demo.acknowledgedWrites", Double(count), "writes")
        report.add("demo.acknowledgedWritesLost", Double(lost), "writes", .atMost, 0)
    }

    static func show(
        _ audit: DemoResidency.Outcome, of cityCount: Int, _ screen: Screen, _ report: FigureReport
    ) {
        screen.section(
            "Residency audit of every node's files",
            """
            The cluster is stopped, and each node's SQLite files are opened. Row versions and log entries of table
            cities are counted by the law that their node is under. Canaries (names that only one jurisdiction has, and
            the start of its keys) are searched for in all bytes of all files,
            \(Decimals.grouped(audit.byteCount >> 20)) MiB. Every one must be found at home, none outside.
            """)
        var table = TextTable([
            "node", "law", "rows", "outside", "log entries", "outside", "canaries at home", "outside",
        ])
        for node in audit.nodes {
            table.add([
                node.node.name, node.jurisdiction.rawValue, Decimals.grouped(node.rowsInside), String(node.rowsOutside),
                Decimals.grouped(node.entriesInside), String(node.entriesOutside),
                "\(audit.hits(on: node, isOwn: true)) of \(audit.canaryCount(of: node.jurisdiction))",
                String(audit.hits(on: node, isOwn: false)),
            ])
        }
        screen.table(table)
        screen.line()
        screen.line(
            "  \(Decimals.grouped(audit.found)) of \(Decimals.grouped(cityCount)) cities found at home, "
                + "\(audit.rowsOutside) rows and \(audit.entriesOutside) log entries outside of their jurisdiction.")
        if audit.canariesMissed > 0 {
            screen.line("  \(audit.canariesMissed) canaries were found nowhere: the search itself cannot be trusted.")
        }
        report.add("demo.rows", Double(audit.found), "rows", .atLeast, Double(cityCount))
        report.add("demo.rowsOutsideJurisdiction", Double(audit.rowsOutside), "rows", .atMost, 0)
        report.add("demo.logEntriesOutsideJurisdiction", Double(audit.entriesOutside), "entries", .atMost, 0)
        report.add("demo.canariesOutsideJurisdiction", Double(audit.canariesOutside), "canaries", .atMost, 0)
        report.add("demo.bytesAudited", Double(audit.byteCount), "bytes")
    }
}
