import MeridianCore

/// A word of a plan file, with its place, and what it can stand for.
struct PlanWord: Hashable, Sendable {
    var text: String
    var line: Int
    var column: Int
    var file: String

    /// Words line by line: separated by blanks, up to a `#`. Lines without words are left out.
    static func lines(of text: String, file: String) -> [[PlanWord]] {
        var lines: [[PlanWord]] = []
        let raw = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (offset, line) in raw.enumerated() {
            var words: [PlanWord] = []
            var word: PlanWord?
            for (position, character) in line.enumerated() {
                if character == "#" { break }
                if character.isWhitespace || character == "\u{FEFF}" {
                    if let found = word { words.append(found) }
                    word = nil
                } else if word == nil {
                    word = PlanWord(text: String(character), line: offset + 1, column: position + 1, file: file)
                } else {
                    word?.text.append(character)
                }
            }
            if let found = word { words.append(found) }
            if !words.isEmpty { lines.append(words) }
        }
        return lines
    }

    func error(_ message: String, suggestion: String? = nil) -> PlanFileError {
        PlanFileError(file: file, line: line, column: column, message: message, suggestion: suggestion)
    }

    /// An error about a name that is none of those that are known.
    func unknown(_ what: String, among names: [String]) -> PlanFileError {
        error(
            "there is no \(what) \"\(text)\"; known are \(names.joined(separator: ", "))",
            suggestion: NameSuggestion.nearest(to: text, among: names))
    }

    // MARK: - Values

    private static let durations: [(unit: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ]

    /// A duration with its unit, such as `70ms`; a bare 0 needs none. Nanoseconds.
    func duration() throws(PlanFileError) -> Int64 {
        if text == "0" { return 0 }
        let (number, unit) = try quantity("a duration such as 70ms")
        guard let scale = Self.durations.first(where: { $0.unit == unit })?.nanoseconds else {
            throw error(
                unit.isEmpty
                    ? "\"\(text)\" has no unit; write \(text)ms or \(text)s"
                    : "\"\(text)\" has an unknown unit \"\(unit)\"; the units are ns, us, ms, s, m and h",
                suggestion: Self.durations.contains { $0.unit == unit.lowercased() } ? text.lowercased() : nil)
        }
        guard number * scale <= 1e18 else { throw error("\"\(text)\" is longer than thirty years") }
        return Int64((number * scale).rounded())
    }

    private static let rates: [(unit: String, seconds: Double)] = [("/s", 1), ("/m", 60), ("/h", 3600)]

    /// How often, such as `200/s`. A second.
    func rate() throws(PlanFileError) -> Double {
        let (number, unit) = try quantity("a rate such as 200/s")
        guard let seconds = Self.rates.first(where: { $0.unit == unit })?.seconds else {
            throw error("\"\(text)\" is no rate; write how many a second, minute or hour: 200/s, 5/m, 1/h")
        }
        return number / seconds
    }

    private static let sizes: [(unit: String, bytes: Double)] = [
        ("B", 1), ("KB", 1e3), ("KiB", 1024), ("MB", 1e6), ("MiB", 1_048_576),
    ]

    /// A size, such as `400B`. Bytes, at least one.
    func size() throws(PlanFileError) -> Int {
        let (number, unit) = try quantity("a size such as 400B")
        guard let bytes = Self.sizes.first(where: { $0.unit == unit })?.bytes else {
            throw error("\"\(text)\" is no size; write bytes with their unit: 400B, 2KiB, 1MB")
        }
        guard number * bytes >= 1, number * bytes <= 4_194_304 else {
            throw error("a row of \"\(text)\" is not between 1 byte and 4 MiB, the largest that a table takes")
        }
        return Int((number * bytes).rounded())
    }

    func count(_ what: String) throws(PlanFileError) -> Int {
        guard let number = Int(text), (1...10_000).contains(number) else {
            throw error("\"\(text)\" is no number of \(what); write 1 or more")
        }
        return number
    }

    private func quantity(_ expected: String) throws(PlanFileError) -> (Double, unit: String) {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number.isFinite else {
            throw error(
                text.hasPrefix("-") ? "\"\(text)\" is negative; write \(expected)" : "\"\(text)\" is not \(expected)")
        }
        return (number, String(text.dropFirst(digits.count)))
    }
}
