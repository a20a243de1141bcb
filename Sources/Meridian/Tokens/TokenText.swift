/// Bytes as letters, digits, `-` and `_` (RFC 4648 §5, "base64url"), without padding: text that needs no escaping in
/// URLs, headers and cookies. Only whole groups of three bytes, since tokens are of that length.
enum TokenText {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        precondition(bytes.count % 3 == 0, "\(bytes.count) bytes need padding")
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<start + 3].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            for shift in stride(from: 18, through: 0, by: -6) { text.append(alphabet[Int(group >> shift & 63)]) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// `nil` for text of another length or with other characters.
    static func decode(_ text: String) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: characters.count, by: 4) {
            var group: UInt32 = 0
            for character in characters[start..<start + 4] {
                guard let value = alphabet.firstIndex(of: character) else { return nil }
                group = group << 6 | UInt32(value)
            }
            for shift in stride(from: 16, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(shift)))
            }
        }
        return bytes
    }
}
