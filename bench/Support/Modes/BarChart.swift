import Foundation

/// Horizontal bars as SVG: a row a mode, a bar a series in it, each with its value at the end.
///
/// The drawing is 360 wide, a phone's width, and scales with the page; names stand above their bars, so that a long one
/// needs no margin. Values that span more than two powers of ten are drawn on a logarithmic axis. Colours come from the
/// page's style sheet (`s0`, `s1`, `axis`), so that one drawing serves light and dark.
package struct BarChart: Sendable {
    package struct Row: Sendable {
        package var label: String
        /// One a series; `nil` where the mode has no such value.
        package var values: [Double?]
        /// What stands in the place of a value that there is none of.
        package var note: String

        package init(_ label: String, _ values: [Double?], note: String = "–") {
            self.label = label
            self.values = values
            self.note = note
        }
    }

    package var id: String
    package var title: String
    package var unit: String
    package var series: [String]
    package var rows: [Row]

    package init(id: String, title: String, unit: String, series: [String], rows: [Row]) {
        precondition(rows.allSatisfy { $0.values.count == series.count }, "\(title): a value for each series")
        self.id = id
        self.title = title
        self.unit = unit
        self.series = series
        self.rows = rows
    }

    static let width = 360.0
    private static let margin = 4.0
    /// Where the bars end; values stand to the right.
    private static let plot = 276.0
    private static let labelHeight = 18.0
    private static let barHeight = 11.0
    private static let gap = 9.0
    private static let axisHeight = 38.0

    private var rowHeight: Double {
        Self.labelHeight + Double(series.count) * (Self.barHeight + 2) + Self.gap
    }

    private var positive: [Double] { rows.flatMap(\.values).compactMap(\.self).filter { $0 > 0 } }

    package var isLogarithmic: Bool {
        guard let least = positive.min(), let most = positive.max() else { return false }
        return most / least > 100
    }

    // MARK: The axis

    /// From the axis's begin to its end. A logarithmic one begins a power of ten below what has to be seen.
    var domain: ClosedRange<Double> {
        guard let least = positive.min(), let most = positive.max() else { return 0...1 }
        guard isLogarithmic else { return 0...most }
        return pow(10, floor(log10(least) - 0.3))...most
    }

    /// How far along the axis a value is, from 0 to 1.
    func share(_ value: Double) -> Double {
        guard value > domain.lowerBound else { return 0 }
        guard isLogarithmic else { return value / domain.upperBound }
        return log10(value / domain.lowerBound) / log10(domain.upperBound / domain.lowerBound)
    }

    var ticks: [Double] {
        guard isLogarithmic else {
            let rough = domain.upperBound / 4
            let power = pow(10, floor(log10(rough)))
            let step = [1, 2, 2.5, 5, 10].map { $0 * power }.first { $0 >= rough } ?? rough
            return Array(stride(from: 0, through: domain.upperBound, by: step))
        }
        let (first, last) = (Int(log10(domain.lowerBound).rounded()), Int(floor(log10(domain.upperBound))))
        return (first...max(first, last)).map { pow(10, Double($0)) }
    }

    private static func tick(_ value: Double) -> String {
        value < 1000
            ? value.formatted(.number.locale(Locale(identifier: "en_US_POSIX")).grouping(.never))
            : "\(Int(value / 1000))k"
    }

    // MARK: SVG

    package var svg: String {
        let bottom = Double(rows.count) * rowHeight
        let height = bottom + Self.axisHeight
        var lines = [
            "<svg viewBox=\"0 0 \(Self.text(Self.width)) \(Self.text(height))\" role=\"img\" "
                + "aria-labelledby=\"\(id)-t \(id)-d\" xmlns=\"http://www.w3.org/2000/svg\">",
            "<title id=\"\(id)-t\">\(Markup.escape(title))</title>",
            "<desc id=\"\(id)-d\">\(Markup.escape(description))</desc>",
        ]
        for tick in ticks {
            let x = Self.text(position(tick))
            // The first would leave the drawing to the left.
            let anchor = share(tick) < 0.05 ? "start" : "middle"
            lines.append("<path class=\"grid\" d=\"M\(x) 0V\(Self.text(bottom))\"/>")
            lines.append(
                "<text class=\"axis\" x=\"\(x)\" y=\"\(Self.text(bottom + 13))\" text-anchor=\"\(anchor)\">"
                    + "\(Self.tick(tick))</text>")
        }
        for (number, row) in rows.enumerated() { lines += bars(row, top: Double(number) * rowHeight) }
        let axis = unit + (isLogarithmic ? ", logarithmic" : "")
        lines.append(
            "<text class=\"axis\" x=\"\(Self.text(Self.plot / 2))\" y=\"\(Self.text(bottom + 30))\" "
                + "text-anchor=\"middle\">\(Markup.escape(axis))</text>")
        lines.append("</svg>")
        return lines.joined(separator: "\n")
    }

    private func position(_ value: Double) -> Double {
        Self.margin + share(value) * (Self.plot - Self.margin)
    }

    private func bars(_ row: Row, top: Double) -> [String] {
        var lines = [
            "<text x=\"\(Self.text(Self.margin))\" y=\"\(Self.text(top + 13))\">\(Markup.escape(row.label))</text>"
        ]
        guard row.values.contains(where: { $0 != nil }) else {
            let y = Self.text(top + Self.labelHeight + 9)
            return lines + [
                "<text class=\"value\" x=\"\(Self.text(Self.margin))\" y=\"\(y)\">\(Markup.escape(row.note))</text>"
            ]
        }
        for (series, value) in row.values.enumerated() {
            guard let value else { continue }
            let y = top + Self.labelHeight + Double(series) * (Self.barHeight + 2)
            // What is there at all can be seen.
            let length = value > 0 ? max(2, position(value) - Self.margin) : 0
            if length > 0 {
                lines.append(
                    "<rect class=\"s\(series)\" x=\"\(Self.text(Self.margin))\" y=\"\(Self.text(y))\" "
                        + "width=\"\(Self.text(length))\" height=\"\(Self.text(Self.barHeight))\"/>")
            }
            lines.append(
                "<text class=\"value\" x=\"\(Self.text(Self.margin + length + 4))\" y=\"\(Self.text(y + 9.5))\">"
                    + "\(ModesText.number(value))</text>")
        }
        return lines
    }

    /// The same for who cannot see it.
    var description: String {
        rows.map { row in
            let values = zip(series, row.values).map { name, value in
                "\(name) \(value.map { ModesText.number($0) + " " + unit } ?? row.note)"
            }
            return "\(row.label): \(values.joined(separator: ", "))"
        }.joined(separator: ". ") + "."
    }

    private static func text(_ value: Double) -> String {
        let tenths = (value * 10).rounded() / 10
        return tenths == tenths.rounded() ? String(Int(tenths)) : String(tenths)
    }
}
