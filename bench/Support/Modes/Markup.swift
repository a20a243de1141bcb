/// Text as it may stand in HTML and SVG, between tags and in quoted attributes.
package enum Markup {
    package static func escape(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            // Other control characters may not stand in XML, not even escaped.
            case "\t", "\n", "\r": escaped.unicodeScalars.append(scalar)
            case ..."\u{1F}": escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
