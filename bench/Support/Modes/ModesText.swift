import Foundation

/// How figures of modes are written, and the table of all modes for people.
package enum ModesText {
    /// Milliseconds as people write them: `0.42 ms`, `3.1 ms`, `93 ms`, `3.2 s`.
    package static func time(_ milliseconds: Double) -> String {
        guard milliseconds != 0 else { return "0" }
        return milliseconds.magnitude < 1000
            ? number(milliseconds) + " ms" : String(format: "%.2f s", milliseconds / 1000)
    }

    /// About three digits: `0.42`, `3.1`, `93`, `1250`.
    package static func number(_ value: Double) -> String {
        switch value.magnitude {
        case 0: "0"
        case ..<1: String(format: "%.2f", value)
        case ..<10: String(format: "%.1f", value)
        default: String(format: "%.0f", value)
        }
    }

    /// `1 write`, `3 writes`.
    package static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// The run as a text: links, the modes in two tables that fit a screen each, and the document's claims.
    package static func text(of run: ModesRun) -> String {
        let links = run.links.map { "\($0.from) - \($0.to) \(number($0.roundTrip)) ms" }.joined(separator: ", ")
        var lines = ["Round trips: \(links). Home: \(run.home). Times in ms, p50 / p99.", ""]
        for columns in [ModesColumn.latency, ModesColumn.safety] {
            var table = TextTable(["mode"] + columns.map(\.heading))
            for mode in run.modes { table.add([mode.kind.title] + columns.map { $0.cell(mode) }) }
            lines += table.lines + [""]
        }
        lines.append("The design document's claims:")
        for claim in DocumentClaim.all(of: run) {
            lines.append("- \(claim.section): \(claim.says)")
            lines.append("  measured: \(claim.measured)  [\(claim.verdict.rawValue)]")
            lines.append("  \(claim.why)")
        }
        return lines.joined(separator: "\n")
    }
}

/// A column of the table of modes.
package struct ModesColumn: Sendable {
    package var heading: String
    package var cell: @Sendable (ModeFigures) -> String

    package static let latency: [ModesColumn] = [
        ModesColumn(heading: "write at home") { pair($0.writeAtHome) },
        ModesColumn(heading: "predicted p50") { $0.predictedWriteAtHome.map(ModesText.number) ?? none },
        ModesColumn(heading: "write, all regions") { pair($0.write) },
        ModesColumn(heading: "increment") { pair($0.increment) },
        ModesColumn(heading: "read as its users do") {
            pair($0.read) + ($0.readsStrongly ? " strong" : " local")
        },
        ModesColumn(heading: "strong read") { $0.strongRead.map(pair) ?? none },
        ModesColumn(heading: "local read") { pair($0.localRead) },
    ]

    package static let safety: [ModesColumn] = [
        ModesColumn(heading: "staleness, local") { pair($0.staleness) },
        ModesColumn(heading: "strong, longest") { $0.longestStrongStaleness.map(ModesText.number) ?? none },
        ModesColumn(heading: "RTO", cell: recovery),
        ModesColumn(heading: "RPO", cell: loss),
        ModesColumn(heading: "conflicts") { "\($0.conflicts.count) \($0.conflicts.word)" },
        ModesColumn(heading: "lost updates") { "\($0.lostUpdates) of \($0.increments)" },
        ModesColumn(heading: "bytes/write, copies + clients") {
            "\(ModesText.number($0.replicationBytes)) + \(ModesText.number($0.clientBytes))"
        },
    ]

    static let none = "–"

    static func pair(_ percentiles: ModeFigures.Percentiles) -> String {
        "\(ModesText.number(percentiles.p50)) / \(ModesText.number(percentiles.p99))"
    }

    static func recovery(_ mode: ModeFigures) -> String {
        mode.loss.recovery.map(ModesText.time) ?? "until it returns"
    }

    /// What was missing while the region was away; of a mode that waited for it, what is when it has come back.
    static func loss(_ mode: ModeFigures) -> String {
        guard let missing = mode.loss.missing else {
            return mode.loss.missingAfterReturn == 0
                ? "0, if disks return" : ModesText.count(mode.loss.missingAfterReturn, "write")
        }
        guard missing > 0 else { return "0" }
        return "\(ModesText.count(missing, "write")), \(ModesText.time(mode.loss.missingAge ?? 0))"
    }
}
