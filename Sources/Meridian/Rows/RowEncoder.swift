import MeridianCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Turns a flat `Codable` struct into the values of its table's columns, in one pass and with nothing in between.
///
/// What a property may be, and what it becomes, is `ColumnType`'s table. A property whose type encodes through a single
/// value container (enums with raw values, `Region`, wrappers around an id) is stored as that value. Any other nested
/// value is stored as JSON text in a column of type `json`. Columns are found by their coding keys; a synthesised
/// `encode(to:)` asks for them in the order of the schema, which is the fast path.
///
/// The encoder itself is a constant and may be shared; each call makes its own `RowEncoding`.
package struct RowEncoder: Sendable {
    package let name: String
    package let columns: [ColumnSchema]

    /// - Parameter name: the table's name, for the errors.
    package init(name: String, columns: [ColumnSchema]) {
        self.name = name
        self.columns = columns
    }

    /// The row's values, one for each column; those that the row leaves out are null.
    /// - Throws: `.typeMismatch`, naming the column that the row does not fit, or what the row's `encode(to:)` throws.
    package func encode(_ row: some Encodable) throws -> [Value] {
        let encoding = RowEncoding(self)
        try encoding.attempt(nil) { try row.encode(to: encoding) }
        for position in columns.indices where !columns[position].isOptional {
            if case .null = encoding.values[position] {
                throw MeridianError.mismatch(columns[position], of: name, "the row has no value for it")
            }
        }
        return encoding.values
    }

    /// One value as the column at `position` would hold it: how a key is given without its row.
    /// - Throws: `.typeMismatch`.
    package func encode(_ value: some Encodable, column position: Int) throws -> Value {
        precondition(columns.indices.contains(position), "column \(position) of \(columns.count)")
        let encoding = RowEncoding(self)
        try encoding.put(value, at: position)
        if !columns[position].isOptional, case .null = encoding.values[position] {
            throw MeridianError.mismatch(columns[position], of: name, "the value given is nil")
        }
        return encoding.values[position]
    }
}

/// One row on its way through the `Encoder` protocol. At the level of the row it hands out a keyed container; while one
/// column is written it is itself the single value container.
final class RowEncoding: Encoder, SingleValueEncodingContainer {
    private(set) var values: [Value]

    private let encoder: RowEncoder
    /// Where the last column was found. The next one is most likely behind it.
    private var cursor = -1
    /// The column that the single value container writes; `nil` at the level of the row.
    private var column: Int?
    /// What a container that could not throw when it was asked for would have thrown.
    private var failure: MeridianError?

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ encoder: RowEncoder) {
        self.encoder = encoder
        values = [Value](repeating: .null, count: encoder.columns.count)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if column != nil { refuseNesting() }
        return KeyedEncodingContainer(RowEncodingContainer<Key>(encoding: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        refuseNesting()
        return RefusedEncodingContainer(encoding: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func refuseNesting() {
        guard failure == nil else { return }
        if let column {
            failure = .mismatch(
                encoder.columns[column], of: encoder.name, "the row has a nested value, which needs json")
        } else {
            failure = MeridianError(
                .typeMismatch,
                "a row of table \(encoder.name) must encode as a flat struct with one key for each column")
        }
    }

    /// Runs a type's own `encode(to:)` for a column, and then throws what it could not.
    func attempt(_ position: Int?, _ encode: () throws -> Void) throws {
        let outer = column
        column = position
        defer { column = outer }
        do {
            try encode()
        } catch is EncodingError {
            // Its text shows the value.
            guard let position else {
                throw MeridianError(.typeMismatch, "a row of table \(encoder.name) cannot be encoded")
            }
            throw MeridianError.mismatch(
                encoder.columns[position], of: encoder.name, "the row's value cannot be encoded")
        }
        if let failure { throw failure }
    }

    func position(of key: some CodingKey) throws -> Int {
        if failure != nil { throw failure! }
        let name = key.stringValue
        let columns = encoder.columns
        let next = cursor + 1
        if next < columns.count, columns[next].name == name {
            cursor = next
            return next
        }
        guard let position = columns.firstIndex(where: { $0.name == name }) else {
            throw MeridianError(.typeMismatch, "table \(encoder.name) has no column \(name), the row has")
        }
        cursor = position
        return position
    }

    private func mismatch(_ position: Int, _ found: String) -> MeridianError {
        .mismatch(encoder.columns[position], of: encoder.name, "the row has \(found)")
    }

    private func currentColumn() throws -> Int {
        guard let column else {
            refuseNesting()
            throw failure!
        }
        return column
    }
}

/// One method for each kind of value.
extension RowEncoding {
    func put(_ bool: Bool, at position: Int) throws {
        guard encoder.columns[position].type == .boolean else { throw mismatch(position, "a boolean") }
        values[position] = .integer(bool ? 1 : 0)
    }

    func put(_ text: String, at position: Int) throws {
        guard encoder.columns[position].type == .text else { throw mismatch(position, "a text") }
        values[position] = .text(text)
    }

    func put(real: Double, at position: Int) throws {
        guard encoder.columns[position].type == .real else { throw mismatch(position, "a real") }
        values[position] = .real(real)
    }

    func put(integer: some FixedWidthInteger, at position: Int) throws {
        guard encoder.columns[position].type == .integer else { throw mismatch(position, "an integer") }
        guard let integer = Int64(exactly: integer) else {
            throw mismatch(position, "an integer outside \(Int64.min)...\(Int64.max)")
        }
        values[position] = .integer(integer)
    }

    /// Where the column is of the type's own kind the value is stored directly; otherwise the type's `encode(to:)`
    /// decides. So a `UUID` in a column declared as text is stored as its text.
    func put<T: Encodable>(_ value: T, at position: Int) throws {
        switch encoder.columns[position].type {
        case .uuid where T.self == UUID.self:
            values[position] = .blob(withUnsafeBytes(of: (value as! UUID).uuid) { [UInt8]($0) })
        case .date where T.self == Date.self:
            values[position] = .real((value as! Date).timeIntervalSinceReferenceDate)
        case .blob where T.self == [UInt8].self:
            values[position] = .blob(value as! [UInt8])
        case .blob where T.self == Data.self:
            values[position] = .blob([UInt8](value as! Data))
        case .json:
            guard (value as? any OptionalValue)?.isNil != true else { return }
            try attempt(position) {
                values[position] = .text(try CanonicalJSON.text(of: value))
            }
        default:
            try attempt(position) { try value.encode(to: self) }
        }
    }

    func encodeNil() throws { values[try currentColumn()] = .null }
    func encode(_ value: Bool) throws { try put(value, at: currentColumn()) }
    func encode(_ value: String) throws { try put(value, at: currentColumn()) }
    func encode(_ value: Double) throws { try put(real: value, at: currentColumn()) }
    func encode(_ value: Float) throws { try put(real: Double(value), at: currentColumn()) }
    func encode(_ value: Int) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: Int8) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: Int16) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: Int32) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: Int64) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: UInt) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: UInt8) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: UInt16) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: UInt32) throws { try put(integer: value, at: currentColumn()) }
    func encode(_ value: UInt64) throws { try put(integer: value, at: currentColumn()) }

    /// A row that wraps another hands its inner value on.
    func encode<T: Encodable>(_ value: T) throws {
        if let column { try put(value, at: column) } else { try value.encode(to: self) }
    }
}

/// The container of the row itself.
private struct RowEncodingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let encoding: RowEncoding
    var codingPath: [any CodingKey] { [] }

    func encodeNil(forKey key: Key) throws { _ = try encoding.position(of: key) }
    func encode(_ value: Bool, forKey key: Key) throws { try encoding.put(value, at: encoding.position(of: key)) }
    func encode(_ value: String, forKey key: Key) throws { try encoding.put(value, at: encoding.position(of: key)) }
    func encode(_ value: Double, forKey key: Key) throws {
        try encoding.put(real: value, at: encoding.position(of: key))
    }
    func encode(_ value: Float, forKey key: Key) throws {
        try encoding.put(real: Double(value), at: encoding.position(of: key))
    }
    func encode(_ value: Int, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: Int8, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: Int16, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: Int32, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: Int64, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: UInt, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: UInt8, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: UInt16, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: UInt32, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode(_ value: UInt64, forKey key: Key) throws {
        try encoding.put(integer: value, at: encoding.position(of: key))
    }
    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try encoding.put(value, at: encoding.position(of: key))
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        encoding.refuseNesting()
        return KeyedEncodingContainer(RowEncodingContainer<NestedKey>(encoding: encoding))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoding.refuseNesting()
        return RefusedEncodingContainer(encoding: encoding)
    }

    func superEncoder() -> any Encoder {
        encoding.refuseNesting()
        return encoding
    }

    func superEncoder(forKey key: Key) -> any Encoder { superEncoder() }
}

/// A list where the schema has none. The protocol lets nobody refuse to hand one out, so it takes everything and keeps
/// nothing; the refusal is thrown when the type's `encode(to:)` has returned.
private struct RefusedEncodingContainer: UnkeyedEncodingContainer {
    let encoding: RowEncoding
    var codingPath: [any CodingKey] { [] }
    var count: Int { 0 }

    func encodeNil() throws {}
    func encode<T: Encodable>(_ value: T) throws {}
    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        KeyedEncodingContainer(RowEncodingContainer<NestedKey>(encoding: encoding))
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { self }
    func superEncoder() -> any Encoder { encoding }
}

/// Tells an optional from other values where only the static type `T` is known.
protocol OptionalValue {
    var isNil: Bool { get }
}

extension Optional: OptionalValue {
    var isNil: Bool { self == nil ? true : false }
}

extension MeridianError {
    /// Names the table and the column; never shows a value.
    static func mismatch(_ column: ColumnSchema, of table: String, _ reason: String) -> MeridianError {
        MeridianError(.typeMismatch, "column \(column.name) of table \(table) is \(column.type): \(reason)")
    }
}
