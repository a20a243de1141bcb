/// A matrix from text: a header `region,a,b,…`, then one row `a,…` for each region in any order, times in
/// milliseconds. Blank lines and lines that start with `#` are skipped; cells are not quoted.
extension LatencyMatrix {
    /// - Throws: `MeridianError` with `.invalidLatencyMatrix`, naming line and cell and what to write there.
    public init(
        csv text: String, asymmetryTolerance: Double = defaultAsymmetryTolerance
    ) throws(MeridianError) {
        var lines = Self.records(of: text)
        guard let header = lines.first else {
            throw Self.invalid("the text is empty; start with a header such as \"region,us-east-1,eu-west-1\"")
        }
        lines.removeFirst()
        guard header.cells[0] == "region" else {
            throw Self.invalid(
                "line \(header.line) starts with \"\(header.cells[0])\"; the header starts with \"region\"")
        }
        let regions = header.cells.dropFirst().map { Region($0) }
        var rowsByRegion: [Region: [Double]] = [:]
        for record in lines {
            let region = Region(record.cells[0])
            guard regions.contains(region) else {
                let hint = NameSuggestion.hint(for: region.rawValue, among: regions.map(\.rawValue))
                throw Self.invalid("line \(record.line) is of region \"\(region)\", which the header lacks.\(hint)")
            }
            let row = try Self.times(of: record, columns: regions)
            guard rowsByRegion.updateValue(row, forKey: region) == nil else {
                throw Self.invalid("line \(record.line) repeats region \"\(region)\"; remove one of its rows")
            }
        }
        var rows: [[Double]] = []
        for region in regions {
            guard let row = rowsByRegion[region] else {
                throw Self.invalid("the header names region \"\(region)\" but no row starts with it; add the row")
            }
            rows.append(row)
        }
        try self.init(regions: regions, roundTripMilliseconds: rows, asymmetryTolerance: asymmetryTolerance)
    }

    private struct Record {
        var line: Int
        /// At least one.
        var cells: [String]
    }

    private static func records(of text: String) -> [Record] {
        var records: [Record] = []
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (offset, line) in lines.enumerated() {
            let line = trimmed(line)
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let cells = line.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) }
            records.append(Record(line: offset + 1, cells: cells))
        }
        return records
    }

    private static func times(of record: Record, columns: [Region]) throws(MeridianError) -> [Double] {
        let cells = record.cells.dropFirst()
        guard cells.count == columns.count else {
            throw invalid(
                "line \(record.line) (\"\(record.cells[0])\") has \(cells.count) times, but the header names "
                    + "\(columns.count) regions; give one for each")
        }
        var times: [Double] = []
        for (column, cell) in zip(columns, cells) {
            guard let time = Double(cell) else {
                throw invalid(
                    "line \(record.line), cell \(record.cells[0]) → \(column) is \"\(cell)\", not a number; "
                        + "write a round trip in milliseconds")
            }
            times.append(time)
        }
        return times
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        let isPadding = { (character: Character) in character.isWhitespace || character == "\u{FEFF}" }
        var slice = text.drop(while: isPadding)
        while let last = slice.last, isPadding(last) { slice = slice.dropLast() }
        return String(slice)
    }
}
