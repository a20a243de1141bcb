import MeridianCore

/// A set column's text, which is a JSON array, as the bytes of its elements and back. Elements are equal if their bytes
/// are: the encoder that writes them (`Table`) sorts the keys of objects and always writes a value alike.
package enum SetText {
    /// The elements, sorted, each once; `nil` when the text is not a JSON array.
    package static func elements(of text: String) -> [SetElement]? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") else { return nil }
        var elements: [SetElement] = []
        var start = 1
        var depth = 0
        var isInText = false
        var position = 1
        while position < bytes.count - 1 {
            switch bytes[position] {
            case UInt8(ascii: "\\") where isInText: position += 1
            case UInt8(ascii: "\""): isInText.toggle()
            case UInt8(ascii: "["), UInt8(ascii: "{"): if !isInText { depth += 1 }
            case UInt8(ascii: "]"), UInt8(ascii: "}"): if !isInText { depth -= 1 }
            case UInt8(ascii: ",") where !isInText && depth == 0:
                elements.append(Array(bytes[start..<position]))
                start = position + 1
            default: break
            }
            if depth < 0 { return nil }
            position += 1
        }
        guard depth == 0, !isInText, position == bytes.count - 1 else { return nil }
        if start < bytes.count - 1 { elements.append(Array(bytes[start..<(bytes.count - 1)])) }
        elements.sort { $0.lexicographicallyPrecedes($1) }
        return elements.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
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
}
