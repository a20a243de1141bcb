/// What one column of one row holds: SQLite's five storage classes, and nothing else.
///
/// Values have one total order, which is the order of the keys made from them (`KeyEncoder`) and, inside each storage
/// class, SQLite's own with `BINARY` collation:
///
/// - `null` < every `integer` < every `real` < every `text` < every `blob`. (SQLite sorts integers and reals together;
///   a column of Meridian holds one of the two, so the difference never shows.)
/// - Text compares by its UTF-8 bytes. Two spellings of one character ("é" as one scalar or as two) are therefore two
///   values, as they are in SQLite, although Swift's `String` calls them equal.
/// - `-0.0` equals `0.0`. NaN equals itself and sorts below every other real; a row may hold it, a key may not.
public enum Value: Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

extension Value: Hashable {
    public static func == (lhs: Value, rhs: Value) -> Bool {
        switch (lhs, rhs) {
        case (.null, .null): true
        case (.integer(let left), .integer(let right)): left == right
        case (.real(let left), .real(let right)): left == right || (left.isNaN && right.isNaN)
        case (.text(var left), .text(var right)):
            left.withUTF8 { left in right.withUTF8 { left.count == $0.count && left.elementsEqual($0) } }
        case (.blob(let left), .blob(let right)): left == right
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(rank)
        switch self {
        case .null: break
        case .integer(let integer): hasher.combine(integer)
        case .real(let real): hasher.combine(real.isNaN ? Double.nan : real)
        case .text(var text):
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        case .blob(let bytes): hasher.combine(bytes)
        }
    }
}

extension Value: Comparable {
    public static func < (lhs: Value, rhs: Value) -> Bool {
        switch (lhs, rhs) {
        case (.integer(let left), .integer(let right)): left < right
        case (.real(let left), .real(let right)): left.isNaN ? !right.isNaN : left < right
        case (.text(let left), .text(let right)): left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.blob(let left), .blob(let right)): left.lexicographicallyPrecedes(right)
        default: lhs.rank < rhs.rank
        }
    }

    /// Where the storage class stands among the others.
    private var rank: UInt8 {
        switch self {
        case .null: 0
        case .integer: 1
        case .real: 2
        case .text: 3
        case .blob: 4
        }
    }
}

/// A value may be personal data, so its text names its storage class and its size alone.
extension Value: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch self {
        case .null: "null"
        case .integer: "integer"
        case .real: "real"
        case .text(let text): "text(\(text.utf8.count) bytes)"
        case .blob(let bytes): "blob(\(bytes.count) bytes)"
        }
    }

    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
