import MeridianCore

/// A set column's text, which is a JSON array, as the bytes of its elements and back. Elements are equal if their bytes
/// are: the encoder that writes them (`Table`) sorts the keys of objects and always writes a value alike.
package enum SetText {
    /// The elements, sorted, each once, without space around them; `nil` when the text is not a JSON array.
    package static func elements(of text: String) -> [SetElement]? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") else { return nil }
        var elements: [SetElement] = []
        var start = 1
        var open: [UInt8] = []
        var isInText = false
        var position = 1
        let end = bytes.count - 1
        while position < end {
            switch bytes[position] {
            case UInt8(ascii: "\\") where isInText: position += 1
            case UInt8(ascii: "\""): isInText.toggle()
            case _ where isInText: break
            case UInt8(ascii: "["): open.append(UInt8(ascii: "]"))
            case UInt8(ascii: "{"): open.append(UInt8(ascii: "}"))
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                guard open.popLast() == bytes[position] else { return nil }
            case UInt8(ascii: ",") where open.isEmpty:
                elements.append(trimmed(bytes[start..<position]))
                start = position + 1
            default: break
            }
            position += 1
        }
        guard open.isEmpty, !isInText, position == end else { return nil }
        let last = trimmed(bytes[start..<end])
        if !last.isEmpty || !elements.isEmpty { elements.append(last) }
        // Nothing between two commas.
        guard !elements.contains([]) else { return nil }
        elements.sort { $0.lexicographicallyPrecedes($1) }
        return elements.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> SetElement {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return Array(bytes[first...last])
    }

    package static func text(of elements: [SetElement]) -> String {
        var bytes = [UInt8(ascii: "[")]
        for (position, element) in elements.enumerated() {
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += element
        }
        bytes.append(UInt8(ascii: "]"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether `text(of:)` would make this text of the elements.
    static func isText(_ text: String, of elements: some Sequence<SetElement>) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = bytes[...]
            var separator = UInt8(ascii: "[")
            for element in elements {
                guard rest.first == separator, rest.dropFirst().starts(with: element) else { return false }
                rest = rest.dropFirst(1 + element.count)
                separator = UInt8(ascii: ",")
            }
            if separator == UInt8(ascii: "[") { return rest.elementsEqual("[]".utf8) }
            return rest.count == 1 && rest.first == UInt8(ascii: "]")
        }
    }
}
