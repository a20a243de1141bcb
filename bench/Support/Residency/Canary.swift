import Foundation
import MeridianCore

/// A string that stands in rows which are pinned to a jurisdiction, and in nothing else in the world; in every form in
/// which a program could write it down.
package struct Canary: Sendable {
    package let jurisdiction: Jurisdiction
    package let text: String

    package init(_ text: String, of jurisdiction: Jurisdiction) {
        self.text = text
        self.jurisdiction = jurisdiction
    }

    /// UTF-8, UTF-16 of both orders, base64 at each of its three alignments, hexadecimal, percent-encoded, and as Swift
    /// prints an array of bytes.
    package var forms: [[UInt8]] {
        let bytes = Array(text.utf8)
        var forms: [[UInt8]] = [bytes]
        forms.append(text.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        forms.append(text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
        for offset in 0..<3 { forms.append(Self.base64(bytes, offset)) }
        let lower = bytes.map { String(format: "%02x", $0) }
        forms.append(Array(lower.joined().utf8))
        forms.append(Array(lower.joined().uppercased().utf8))
        forms.append(Array(lower.map { "%" + $0 }.joined().utf8))
        forms.append(Array(lower.map { "%" + $0.uppercased() }.joined().utf8))
        forms.append(Array(bytes.map { "\($0)" }.joined(separator: ", ").utf8))
        return forms
    }

    /// What base64 makes of the bytes wherever they stand so many bytes behind a multiple of three: the characters that
    /// depend on them alone.
    private static func base64(_ bytes: [UInt8], _ offset: Int) -> [UInt8] {
        let text = Data([UInt8](repeating: 0, count: offset) + bytes).base64EncodedString()
        let first = (offset * 8 + 5) / 6
        let last = (offset + bytes.count) * 8 / 6
        return Array(text.utf8)[first..<last].map { $0 }
    }
}

/// Every string and array of bytes in a value, however deep, without the value's help: a field that somebody adds is
/// looked into as well.
package enum BytesWithin {
    package static func all(_ value: Any) -> [[UInt8]] {
        var found: [[UInt8]] = []
        collect(value, &found)
        return found
    }

    private static func collect(_ value: Any, _ found: inout [[UInt8]]) {
        if let bytes = value as? [UInt8] { return found.append(bytes) }
        if let text = value as? String { return found.append(Array(text.utf8)) }
        for child in Mirror(reflecting: value).children { collect(child.value, &found) }
    }
}
