import Foundation
import MeridianCore
import MeridianPlacement

/// Where a plan comes from: a file, with its matrix file beside it, or a list of regions of a preset.
enum PlanInput {
    /// - Throws: `PlanFileError` for what is wrong in the text; `MeridianError` when it cannot be read.
    static func plan(file: String) throws -> PlanFile {
        let directory = URL(fileURLWithPath: file).deletingLastPathComponent()
        return try PlanFile(try text(of: file), file: file) { (name) throws(MeridianError) -> String in
            try text(of: URL(fileURLWithPath: name, relativeTo: directory).path)
        }
    }

    /// A table of which nothing is known but where its clients are: at home in the first region, asked from all.
    /// - Throws: `MeridianError` with `.unknownRegion` or `.invalidTopology`.
    static func plan(awsRegions regions: [Region], nodes: Int) throws(MeridianError) -> PlanFile {
        let topology = try Topology.aws(regions, nodesPerRegion: nodes)
        let table = PlannedTable(name: "table", locality: .regional(in: regions[0]))
        return PlanFile(topology: topology, tables: [table], matrixSource: "preset aws")
    }

    private static func text(of path: String) throws(MeridianError) -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw MeridianError(.invalidConfiguration, "cannot be read; name a file that exists")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw MeridianError(.invalidConfiguration, "is not text in UTF-8; save it as such")
        }
        return text
    }
}
