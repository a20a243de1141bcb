/// What a table's column is declared to hold. Each type is stored as one of SQLite's storage classes:
///
/// | type    | stored as | Swift                                                                                |
/// |---------|-----------|--------------------------------------------------------------------------------------|
/// | integer | integer   | `Int`, `UInt` and their sized kin, as far as they fit 64 bits with a sign            |
/// | real    | real      | `Double`, `Float`                                                                    |
/// | text    | text      | `String`, enums and wrappers over it                                                 |
/// | blob    | blob      | `Data`, `[UInt8]`                                                                    |
/// | boolean | integer   | `Bool`, as 0 or 1                                                                    |
/// | uuid    | blob      | `UUID`, as its 16 bytes                                                              |
/// | date    | real      | `Date`, as seconds since 2001-01-01T00:00:00Z, so that every `Date` comes back equal |
/// | json    | text      | any other `Codable` value, as JSON with sorted keys; not for keys                    |
///
/// The raw values are in stored schemas: never change or reuse one.
public enum ColumnType: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case integer = 1
    case real = 2
    case text = 3
    case blob = 4
    case boolean = 5
    case uuid = 6
    case date = 7
    case json = 8

    public var description: String {
        switch self {
        case .integer: "integer"
        case .real: "real"
        case .text: "text"
        case .blob: "blob"
        case .boolean: "boolean"
        case .uuid: "uuid"
        case .date: "date"
        case .json: "json"
        }
    }

    /// Whether a column of this type may be part of a key.
    package var isKeyable: Bool { self != .json }

    /// Whether the value's storage class is this type's. Null is the column's matter (`ColumnSchema.isOptional`).
    package func accepts(_ value: Value) -> Bool {
        switch (self, value) {
        case (.integer, .integer), (.real, .real), (.date, .real), (.text, .text), (.json, .text), (.blob, .blob): true
        case (.boolean, .integer(let integer)): integer == 0 || integer == 1
        case (.uuid, .blob(let bytes)): bytes.count == 16
        default: false
        }
    }
}
