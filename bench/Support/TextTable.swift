/// A table for people: the first column left-aligned, the others right-aligned, as wide as their widest cell.
package struct TextTable: Sendable {
    private var header: [String]
    private var rows: [[String]] = []

    package init(_ header: [String]) { self.header = header }

    /// Precondition: as many cells as the header has.
    package mutating func add(_ cells: [String]) {
        precondition(cells.count == header.count, "\(cells.count) cells under \(header.count) headings")
        rows.append(cells)
    }

    package var lines: [String] {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        let rule = widths.map { String(repeating: "─", count: $0) }
        return ([header, rule] + rows).map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }
    }
}

/// Numbers as people write them.
package enum Decimals {
    /// 34006 becomes 34,006.
    package static func grouped(_ number: Int) -> String {
        var digits = String(abs(number))
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (number < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// With so many decimals, half rounded away from zero.
    package static func fixed(_ number: Double, _ decimals: Int = 1) -> String {
        var scale = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int((number * Double(scale)).rounded())
        let sign = scaled < 0 ? "-" : ""
        guard decimals > 0 else { return sign + String(abs(scaled)) }
        let fraction = String(abs(scaled) % scale)
        return sign + String(abs(scaled) / scale) + "." + String(repeating: "0", count: decimals - fraction.count)
            + fraction
    }
}
