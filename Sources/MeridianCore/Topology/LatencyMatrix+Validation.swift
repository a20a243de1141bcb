/// What makes a table of round trips one that can be believed. Every refusal names the cell and the fix.
extension LatencyMatrix {
    static func validate(regions: [Region], rows: [[Double]]) throws(MeridianError) {
        guard !regions.isEmpty else { throw invalid("the matrix has no regions; name at least one") }
        var seen: Set<Region> = []
        for region in regions {
            guard !region.rawValue.isEmpty else { throw invalid("a region has an empty name; give it one") }
            guard seen.insert(region).inserted else {
                throw invalid("region \"\(region)\" is named twice; remove one of its rows and columns")
            }
        }
        guard rows.count == regions.count else {
            throw invalid("there are \(regions.count) regions but \(rows.count) rows; give one row for each region")
        }
        for (region, row) in zip(regions, rows) {
            guard row.count == regions.count else {
                throw invalid(
                    "row \"\(region)\" has \(row.count) cells, not \(regions.count); give one for each region")
            }
            for (destination, cell) in zip(regions, row) {
                try validate(cell, from: region, to: destination)
            }
        }
    }

    private static func validate(_ cell: Double, from origin: Region, to destination: Region) throws(MeridianError) {
        let name = "cell \(origin) → \(destination)"
        guard cell.isFinite else { throw invalid("\(name) is \(cell); write a round trip in milliseconds") }
        guard cell >= 0 else {
            throw invalid("\(name) is negative (\(cell) ms); a round trip takes at least 0 ms")
        }
        guard cell <= maximumMilliseconds else {
            throw invalid("\(name) is \(cell) ms, more than a minute; write milliseconds")
        }
    }

    static func validateSymmetry(
        regions: [Region], rows: [[Double]], tolerance: Double
    ) throws(MeridianError) {
        guard tolerance >= 0, tolerance.isFinite else {
            throw invalid("the asymmetry tolerance is \(tolerance); give a share such as 0.1 for 10 %")
        }
        for i in regions.indices {
            for j in regions.indices where j > i {
                let (forth, back) = (rows[i][j], rows[j][i])
                let allowed = max(tolerance * max(forth, back), asymmetryGrainMilliseconds)
                guard abs(forth - back) > allowed else { continue }
                throw invalid(
                    "cells \(regions[i]) → \(regions[j]) (\(forth) ms) and \(regions[j]) → \(regions[i]) (\(back) ms) "
                        + "differ by more than \(tolerance * 100) %; a round trip is the same from both ends, so "
                        + "measure the pair again or pass a larger asymmetryTolerance")
            }
        }
    }

    static func invalid(_ message: String) -> MeridianError {
        MeridianError(.invalidLatencyMatrix, "latency matrix: \(message)")
    }
}
