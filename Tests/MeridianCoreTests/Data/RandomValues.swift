import MeridianCore

/// Values for the property tests: small alphabets full of the bytes and numbers that formats stumble over.
extension SplitMix64 {
    mutating func value(of type: ColumnType) -> Value {
        switch type {
        case .integer: .integer(integer())
        case .boolean: .integer(Int64(below(2)))
        case .real, .date: .real(real())
        case .text, .json: .text(text())
        case .blob: .blob(bytes(maximumCount: 6))
        case .uuid: .blob((0..<16).map { _ in byte() })
        }
    }

    mutating func keyableType() -> ColumnType {
        let types = ColumnType.allCases.filter(\.isKeyable)
        return types[Int(below(UInt64(types.count)))]
    }

    mutating func integer() -> Int64 {
        switch below(4) {
        case 0: [0, 1, -1, .max, .min, 255, 256, -256, 63, 64, -64, -65][Int(below(12))]
        case 1: Int64(below(8)) - 4
        default: Int64(bitPattern: next()) >> Int64(below(64))
        }
    }

    mutating func real() -> Double {
        switch below(3) {
        case 0:
            [
                0, -0.0, 1, -1, .infinity, -.infinity, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
                .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0.1, 1e-300,
            ][Int(below(12))]
        case 1: Double(Int64(below(2_000)) - 1_000) / 8
        default:
            {
                let real = Double(bitPattern: $0)
                return real.isNaN ? 2.5 : real
            }(next())
        }
    }

    mutating func text() -> String {
        let pieces = ["", "\u{0}", "\u{1}", "a", "b", "ab", "é", "e\u{301}", "日本", "\u{10FFFF}", "\u{FF}", "Z"]
        return (0..<below(5)).map { _ in pieces[Int(below(UInt64(pieces.count)))] }.joined()
    }

    mutating func byte() -> UInt8 {
        [0x00, 0x01, 0x02, 0x7F, 0x80, 0xFE, 0xFF, UInt8(below(256))][Int(below(8))]
    }

    mutating func bytes(maximumCount: Int) -> [UInt8] {
        (0..<below(UInt64(maximumCount) + 1)).map { _ in byte() }
    }
}
