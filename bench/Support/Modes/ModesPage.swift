import Foundation

/// A run as one page that needs nothing else: no script, no font, no file beside it.
///
/// It is well-formed XML as well as HTML. Light or dark as the reader has it; on a phone tables scroll or stack.
package struct ModesPage: Sendable {
    private let run: ModesRun
    private let command: String
    private let date: Date

    package init(run: ModesRun, command: String, date: Date) {
        self.run = run
        self.command = command
        self.date = date
    }

    package var text: String {
        let parts = [header, table, charts, claims, notes].joined(separator: "\n")
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="color-scheme" content="light dark"/>
            <title>Meridian: every mode on one workload</title>
            <style>
            \(Self.style)
            </style>
            </head>
            <body>
            \(parts)
            </body>
            </html>

            """
    }

    // MARK: Parts

    private var header: String {
        let links = run.links.map { "\($0.from) – \($0.to) \(ModesText.number($0.roundTrip)) ms" }
        let environment = RunEnvironment.current.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        let facts = [
            ("regions", run.regions.joined(separator: ", ") + "; home " + run.home),
            ("round trips", links.joined(separator: "; ")),
            ("environment", environment.joined(separator: ", ")),
            ("command", command),
            ("date", date.formatted(.iso8601)),
        ]
        let list = facts.map { "<dt>\($0)</dt><dd>\(Markup.escape($1))</dd>" }.joined(separator: "\n")
        return """
            <h1>Every mode on one workload</h1>
            <p>Meridian's replication modes on the same three regions, links and clients, beside what the design
            document says of them. A page by <code>bench-modes</code>.</p>
            <dl>
            \(list)
            </dl>
            """
    }

    private var table: String {
        let columns = ModesColumn.latency + ModesColumn.safety
        let head = (["mode"] + columns.map(\.heading)).map { "<th scope=\"col\">\(Markup.escape($0))</th>" }.joined()
        let rows = run.modes.map { mode in
            let cells = columns.map { "<td>\(Markup.escape($0.cell(mode)))</td>" }.joined()
            return "<tr><th scope=\"row\">\(Markup.escape(mode.kind.title))</th>\(cells)</tr>"
        }
        return """
            <h2>All figures</h2>
            <p>Times in milliseconds, p50 / p99.</p>
            <div class="scroll" tabindex="0" role="region" aria-label="All figures">
            <table class="figures">
            <thead><tr>\(head)</tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody>
            </table>
            </div>
            """
    }

    private var charts: String {
        let figures = ModesCharts.all(of: run).map { chart in
            let legend =
                chart.series.count < 2
                ? ""
                : chart.series.enumerated().map { number, name in
                    " <span class=\"key\"><span class=\"k\(number)\"></span>\(Markup.escape(name))</span>"
                }.joined()
            return """
                <figure>
                <figcaption>\(Markup.escape(chart.title))\(legend)</figcaption>
                \(chart.svg)
                </figure>
                """
        }
        return "<h2>Charts</h2>\n<div class=\"charts\">\n\(figures.joined(separator: "\n"))\n</div>"
    }

    private var claims: String {
        let rows = DocumentClaim.all(of: run).map { claim in
            let cells = [
                ("document says", Markup.escape(claim.section + ": " + claim.says)),
                ("measured here", Markup.escape(claim.measured)),
                ("verdict", "<strong>\(Markup.escape(claim.verdict.rawValue))</strong>"),
                ("why", Markup.escape(claim.why)),
            ]
            return "<tr>" + cells.map { "<td data-label=\"\($0)\">\($1)</td>" }.joined() + "</tr>"
        }
        return """
            <h2>What the design document says</h2>
            <table class="claims">
            <thead><tr><th scope="col">document says</th><th scope="col">measured here</th><th scope="col">verdict</th>\
            <th scope="col">why</th></tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody>
            </table>
            """
    }

    private var notes: String {
        let notes = [
            "write at home: one row of the client's own, client in the home region; increment: read, add one, write, "
                + "of 64 rows that all regions share, also repeated after conflicts",
            "strong reads at the leaseholder; local reads as old as the nearest copy is, at most ten seconds",
            "staleness: for how long a write had been acknowledged that a local read in another region, when it "
                + "began, did not show; from rows that the home region writes every 25 ms",
            "RTO: from the loss of all nodes of the home region to the first acknowledged write of another region; "
                + "RPO: acknowledged writes that were not there then, and the age of the oldest",
            "conflicts: closures of transactions that ran again, or conflicts that were merged and listed",
            "bytes: keys and rows that crossed between regions for each acknowledged write, on their way to copies, "
                + "and between clients and leaseholders, reads included; protocols add to it",
        ]
        let items = notes.map { "<li>\(Markup.escape($0))</li>" }.joined(separator: "\n")
        return "<h2>What the figures mean</h2>\n<ul>\n\(items)\n</ul>"
    }

    private static let style = """
        :root { --ground: #fff; --ink: #1d2329; --soft: #59636e; --line: #d5dbe1; --bar0: #1f6feb; --bar1: #9cc2f7; }
        @media (prefers-color-scheme: dark) {
          :root { --ground: #14181d; --ink: #e4e9ee; --soft: #9aa5b1; --line: #333c46; --bar0: #5b9bff;
            --bar1: #2b4f86; }
        }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1rem; max-width: 78rem; background: var(--ground); color: var(--ink);
          font: 1rem/1.45 system-ui, sans-serif; }
        h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
        code, dd { overflow-wrap: anywhere; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .8rem; } dd { margin: 0; }
        dt, figcaption, th { color: var(--soft); font-weight: 600; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; font-size: .9rem; }
        th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }
        .figures td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
        .figures thead th { vertical-align: bottom; } .figures thead th + th { text-align: right; }
        .figures tbody th { position: sticky; left: 0; background: var(--ground); color: var(--ink); min-width: 8rem; }
        .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; }
        figure { margin: 0; } svg { display: block; width: 100%; max-width: 30rem; height: auto; }
        figcaption { margin-bottom: .5rem; } .key { white-space: nowrap; margin-left: .6rem; font-weight: 400; }
        .key span { display: inline-block; width: .7rem; height: .7rem; margin-right: .3rem; }
        .k0 { background: var(--bar0); } .k1 { background: var(--bar1); }
        .s0 { fill: var(--bar0); } .s1 { fill: var(--bar1); } .grid { stroke: var(--line); }
        svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
        svg .axis { fill: var(--soft); font-size: 12px; } svg .value { font-size: 12px; }
        @media (max-width: 44rem) {
          dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; }
          .claims thead { position: absolute; left: -999rem; }
          .claims tr, .claims td { display: block; } .claims tr { border-bottom: 2px solid var(--line);
            padding: .5rem 0; }
          .claims td { border: 0; padding: .15rem 0; }
          .claims td::before { content: attr(data-label) ": "; color: var(--soft); font-weight: 600; }
        }
        """
}

/// The charts of a run: one a metric.
enum ModesCharts {
    static func all(of run: ModesRun) -> [BarChart] {
        func chart(
            _ id: String, _ title: String, _ unit: String, _ series: [String],
            _ values: (ModeFigures) -> [Double?]
        ) -> BarChart {
            BarChart(
                id: id, title: title, unit: unit, series: series,
                rows: run.modes.map { BarChart.Row($0.kind.title, values($0)) })
        }
        func pair(_ percentiles: ModeFigures.Percentiles) -> [Double?] { [percentiles.p50, percentiles.p99] }
        let both = ["p50", "p99"]
        return [
            chart("home", "Write, clients in the home region", "ms", both) { pair($0.writeAtHome) },
            chart("write", "Write, clients of all regions", "ms", both) { pair($0.write) },
            chart("increment", "Increment of a shared row, all regions", "ms", both) { pair($0.increment) },
            chart("read", "Read as the mode's users do, all regions", "ms", both) { pair($0.read) },
            chart("stale", "Staleness of local reads elsewhere", "ms", both) { pair($0.staleness) },
            chart("rto", "RTO, home region lost", "seconds", ["RTO"]) { [$0.loss.recovery.map { $0 / 1000 }] }
                .with(note: "until it returns"),
            chart("rpo", "RPO, home region lost", "ms of acknowledged writes", ["RPO"]) { [$0.loss.missingAge] }
                .with(note: "0, if the disks return"),
            chart("conflicts", "Conflicts", "per 1,000 writes", ["conflicts"]) { [$0.conflictsPerThousand] },
            chart("lost", "Lost updates", "increments of \(run.modes.map(\.increments).max() ?? 0)", ["lost"]) {
                [Double($0.lostUpdates)]
            },
            chart("bytes", "Bytes between regions for each write", "bytes", ["to copies", "of clients"]) {
                [$0.replicationBytes, $0.clientBytes]
            },
        ]
    }
}

extension BarChart {
    fileprivate func with(note: String) -> BarChart {
        var chart = self
        for row in chart.rows.indices { chart.rows[row].note = note }
        return chart
    }
}
