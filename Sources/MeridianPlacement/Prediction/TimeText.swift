/// Times as predictions are written for people: `0.5 ms`, `93.3 ms`, `1.2 s`, `5 m`. No Foundation here.
package enum TimeText {
    package static func of(_ nanoseconds: Int64) -> String {
        switch nanoseconds {
        case ..<0: "-" + of(-nanoseconds)
        case 0: "0"
        case ..<1_000_000: decimal(nanoseconds, unit: 1_000_000, places: 2) + " ms"
        case ..<1_000_000_000: decimal(nanoseconds, unit: 1_000_000, places: 1) + " ms"
        case ..<120_000_000_000: decimal(nanoseconds, unit: 1_000_000_000, places: 1) + " s"
        default: decimal(nanoseconds, unit: 60_000_000_000, places: 0) + " min"
        }
    }

    /// Milliseconds with one decimal and no unit, for columns of figures.
    package static func milliseconds(_ nanoseconds: Int64) -> String {
        decimal(nanoseconds, unit: 1_000_000, places: 1, trims: false)
    }

    /// Precondition: not negative.
    private static func decimal(_ value: Int64, unit: Int64, places: Int, trims: Bool = true) -> String {
        var scale: Int64 = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = (value * scale + unit / 2) / unit
        var text = String(scaled / scale)
        guard places > 0, !trims || scaled % scale != 0 else { return text }
        let fraction = String(scaled % scale)
        text += "." + String(repeating: "0", count: places - fraction.count) + fraction
        while trims, text.hasSuffix("0") { text.removeLast() }
        return text
    }
}
