/// The JSON of one line, byte by byte.
///
/// Why not Foundation's decoder: a history of a million transactions is two million lines and some 300 MB, and a
/// decoder that builds a tree of boxed values for each line needs minutes where the whole check shall take seconds.
/// This one knows what stands where, so it builds nothing but the event. It is strict where it matters: numbers are
/// integers of 64 bits, strings are valid UTF-8, and every error names the byte and what was expected there. RFC 8259.
struct ByteParser {
    let bytes: UnsafeBufferPointer<UInt8>
    let line: Int
    private(set) var position = 0

    /// Values nested deeper than this are refused, so that a hostile line cannot exhaust the stack.
    static let maximumDepth = 64

    init(_ bytes: UnsafeBufferPointer<UInt8>, line: Int) {
        self.bytes = bytes
        self.line = line
    }

    func expected(_ what: String) -> HistoryError {
        HistoryError(line: line, column: position + 1, reason: "expected " + what)
    }

    mutating func seek(_ to: Int) { position = to }

    @inline(__always)
    mutating func skipSpace() {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x09 || byte == 0x0D else { return }
            position += 1
        }
    }

    /// The next byte after spaces, not consumed; 0 at the end.
    @inline(__always)
    mutating func peek() -> UInt8 {
        skipSpace()
        return position < bytes.count ? bytes[position] : 0
    }

    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte, position < bytes.count else { return false }
        position += 1
        return true
    }

    @inline(__always)
    mutating func require(_ byte: Unicode.Scalar, _ what: String) throws(HistoryError) {
        guard take(UInt8(ascii: byte)) else { throw expected(what) }
    }

    mutating func requireEnd() throws(HistoryError) {
        skipSpace()
        guard position == bytes.count else { throw expected("the end of the line") }
    }

    /// An integer of 64 bits; `Int.min` is reserved.
    mutating func integer(_ what: String) throws(HistoryError) -> Int {
        skipSpace()
        let first = position
        let isNegative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }
        let firstDigit = position
        var magnitude = 0
        while position < bytes.count {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            let (product, overflows) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = product.addingReportingOverflow(Int(digit))
            guard !overflows, !overflowsToo else {
                position = first
                throw expected(what + " of at most 64 bits")
            }
            magnitude = sum
            position += 1
        }
        let digits = position - firstDigit
        let next = position < bytes.count ? bytes[position] : 0
        let isFraction = next == UInt8(ascii: ".") || next == UInt8(ascii: "e") || next == UInt8(ascii: "E")
        guard digits > 0, !isFraction, digits == 1 || bytes[firstDigit] != UInt8(ascii: "0") else {
            position = first
            throw expected(what)
        }
        return isNegative ? -magnitude : magnitude
    }

    mutating func takeNull() -> Bool { takeWord("null") }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        skipSpace()
        let count = word.utf8CodeUnitCount
        guard position + count <= bytes.count else { return false }
        for offset in 0..<count where bytes[position + offset] != word.utf8Start[offset] { return false }
        position += count
        return true
    }

    /// The bytes between the quotes, escapes not resolved.
    mutating func rawString(_ what: String) throws(HistoryError) -> Range<Int> {
        guard take(UInt8(ascii: "\"")) else { throw expected(what) }
        let first = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return first..<position - 1
            }
            guard byte >= 0x20 else { throw expected("no control character in a string") }
            position += byte == UInt8(ascii: "\\") ? 2 : 1
        }
        position = min(position, bytes.count)
        throw expected("the end of a string")
    }

    func isEqual(_ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count where bytes[range.lowerBound + offset] != word.utf8Start[offset] {
            return false
        }
        return true
    }

    mutating func string(_ what: String) throws(HistoryError) -> String {
        let range = try rawString(what)
        var units: [UInt8] = []
        units.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                units.append(byte)
                continue
            }
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(escape)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"):
                guard let scalar = unicodeEscape(&index, end: range.upperBound) else {
                    position = index
                    throw expected("four hexadecimal digits of a Unicode scalar")
                }
                units.append(contentsOf: String(scalar).utf8)
            default:
                position = index - 1
                throw expected("an escape of JSON")
            }
        }
        guard let text = String(validating: units, as: UTF8.self) else {
            position = range.lowerBound
            throw expected("valid UTF-8")
        }
        return text
    }

    /// What follows `\u`; a pair of surrogates is one scalar.
    private func unicodeEscape(_ index: inout Int, end: Int) -> Unicode.Scalar? {
        guard let first = hexadecimal(&index, end: end) else { return nil }
        guard first & 0xFC00 == 0xD800 else { return Unicode.Scalar(first) }
        guard index + 2 <= end, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        index += 2
        guard let second = hexadecimal(&index, end: end), second & 0xFC00 == 0xDC00 else { return nil }
        return Unicode.Scalar(0x10000 + (first & 0x3FF) << 10 + second & 0x3FF)
    }

    private func hexadecimal(_ index: inout Int, end: Int) -> UInt32? {
        guard index + 4 <= end else { return nil }
        var result: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else { return nil }
            result = result << 4 | UInt32(digit)
            index += 1
        }
        return result
    }

    /// Steps over a value of any kind.
    mutating func skipValue(depth: Int = 0) throws(HistoryError) {
        guard depth < Self.maximumDepth else { throw expected("at most \(Self.maximumDepth) levels of nesting") }
        switch peek() {
        case UInt8(ascii: "\""): _ = try rawString("a string")
        case UInt8(ascii: "["):
            position += 1
            if take(UInt8(ascii: "]")) { return }
            repeat { try skipValue(depth: depth + 1) } while take(UInt8(ascii: ","))
            try require("]", "',' or ']'")
        case UInt8(ascii: "{"):
            position += 1
            if take(UInt8(ascii: "}")) { return }
            repeat {
                _ = try rawString("a field's name")
                try require(":", "':'")
                try skipValue(depth: depth + 1)
            } while take(UInt8(ascii: ","))
            try require("}", "',' or '}'")
        case UInt8(ascii: "n"), UInt8(ascii: "t"), UInt8(ascii: "f"):
            guard takeWord("null") || takeWord("true") || takeWord("false") else { throw expected("a value") }
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): skipNumber()
        default: throw expected("a value")
        }
    }

    private mutating func skipNumber() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                UInt8(ascii: "e"), UInt8(ascii: "E"):
                position += 1
            default: return
            }
        }
    }
}
