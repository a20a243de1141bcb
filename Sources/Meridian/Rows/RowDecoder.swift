import MeridianCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The inverse of `RowEncoder`: makes a `Codable` struct from the values of its table's columns.
///
/// A row may be shorter than the schema, if it was written before a column was added; what is missing reads as null.
package struct RowDecoder: Sendable {
    package let name: String
    package let columns: [ColumnSchema]

    /// - Parameter name: the table's name, for the errors.
    package init(name: String, columns: [ColumnSchema]) {
        self.name = name
        self.columns = columns
    }

    /// - Throws: `.typeMismatch`, naming the column whose value the type does not take, or what the type's own
    ///   `init(from:)` throws. A `DecodingError` shows values, so it never passes.
    package func decode<Row: Decodable>(_ type: Row.Type, from values: [Value]) throws -> Row {
        do {
            return try Row(from: RowDecoding(self, values))
        } catch is DecodingError {
            throw MeridianError(.typeMismatch, "a row of table \(name) cannot be read as \(Row.self)")
        }
    }
}

/// One row on its way through the `Decoder` protocol. At the level of the row it hands out a keyed container; while one
/// column is read it is itself the single value container.
final class RowDecoding: Decoder, SingleValueDecodingContainer {
    private let decoder: RowDecoder
    private let values: [Value]
    /// Where the last column was found. The next one is most likely here (after `decodeNil`) or behind it.
    private var cursor = 0
    /// The column that the single value container reads; `nil` at the level of the row.
    private var column: Int?

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ decoder: RowDecoder, _ values: [Value]) {
        self.decoder = decoder
        self.values = values
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        if let column { throw nesting(column) }
        return KeyedDecodingContainer(RowDecodingContainer<Key>(decoding: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        if let column { throw nesting(column) }
        throw notFlat()
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func nesting(_ position: Int) -> MeridianError {
        mismatch(position, "the row's type wants a nested value, which needs json")
    }

    func notFlat() -> MeridianError {
        MeridianError(
            .typeMismatch, "a row of table \(decoder.name) must decode from a flat struct with one key for each column")
    }

    func positionIfPresent(of key: some CodingKey) -> Int? {
        let name = key.stringValue
        let columns = decoder.columns
        if cursor < columns.count, columns[cursor].name == name { return cursor }
        let next = cursor + 1
        if next < columns.count, columns[next].name == name {
            cursor = next
            return next
        }
        guard let position = columns.firstIndex(where: { $0.name == name }) else { return nil }
        cursor = position
        return position
    }

    func position(of key: some CodingKey) throws -> Int {
        if let position = positionIfPresent(of: key) { return position }
        throw MeridianError(
            .typeMismatch, "table \(decoder.name) has no column \(key.stringValue), the row's type wants it")
    }

    var columnNames: [String] { decoder.columns.map(\.name) }

    func isNull(_ position: Int) -> Bool {
        guard position < values.count else { return true }
        if case .null = values[position] { return true }
        return false
    }

    private func value(_ position: Int) -> Value { position < values.count ? values[position] : .null }

    private func mismatch(_ position: Int, _ reason: String) -> MeridianError {
        .mismatch(decoder.columns[position], of: decoder.name, reason)
    }

    private func mismatch(_ position: Int, wanted: Any.Type) -> MeridianError {
        mismatch(position, "the row's type wants \(wanted), the row has \(value(position))")
    }

    private func currentColumn() throws -> Int {
        guard let column else { throw notFlat() }
        return column
    }
}

/// One method for each kind of value.
extension RowDecoding {
    func bool(_ position: Int) throws -> Bool {
        guard decoder.columns[position].type == .boolean, case .integer(let integer) = value(position) else {
            throw mismatch(position, wanted: Bool.self)
        }
        return integer != 0
    }

    func text(_ position: Int) throws -> String {
        guard decoder.columns[position].type == .text, case .text(let text) = value(position) else {
            throw mismatch(position, wanted: String.self)
        }
        return text
    }

    func real(_ position: Int) throws -> Double {
        guard decoder.columns[position].type == .real, case .real(let real) = value(position) else {
            throw mismatch(position, wanted: Double.self)
        }
        return real
    }

    func integer<Integer: FixedWidthInteger>(_ position: Int) throws -> Integer {
        guard decoder.columns[position].type == .integer, case .integer(let integer) = value(position) else {
            throw mismatch(position, wanted: Integer.self)
        }
        guard let integer = Integer(exactly: integer) else {
            throw mismatch(position, "the row's integer does not fit \(Integer.self)")
        }
        return integer
    }

    func decode<T: Decodable>(_ type: T.Type, at position: Int) throws -> T {
        switch (decoder.columns[position].type, value(position)) {
        case (.uuid, .blob(let bytes)) where T.self == UUID.self && bytes.count == 16:
            return UUID(uuid: bytes.withUnsafeBytes { $0.loadUnaligned(as: uuid_t.self) }) as! T
        case (.date, .real(let seconds)) where T.self == Date.self:
            return Date(timeIntervalSinceReferenceDate: seconds) as! T
        case (.blob, .blob(let bytes)) where T.self == [UInt8].self:
            return bytes as! T
        case (.blob, .blob(let bytes)) where T.self == Data.self:
            return Data(bytes) as! T
        case (.json, .text(let json)):
            return try attempt(position, type) { try JSONDecoder.forRows.decode(T.self, from: Data(json.utf8)) }
        default:
            return try attempt(position, type) { try T(from: self) }
        }
    }

    /// Runs a type's own `init(from:)` for a column.
    private func attempt<T>(_ position: Int, _ type: T.Type, _ decode: () throws -> T) throws -> T {
        let outer = column
        column = position
        defer { column = outer }
        do {
            return try decode()
        } catch is DecodingError {
            throw mismatch(position, "the row's value is not a \(T.self)")
        }
    }

    func decodeNil() -> Bool { column.map(isNull) ?? false }
    func decode(_ type: Bool.Type) throws -> Bool { try bool(currentColumn()) }
    func decode(_ type: String.Type) throws -> String { try text(currentColumn()) }
    func decode(_ type: Double.Type) throws -> Double { try real(currentColumn()) }
    func decode(_ type: Float.Type) throws -> Float { Float(try real(currentColumn())) }
    func decode(_ type: Int.Type) throws -> Int { try integer(currentColumn()) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(currentColumn()) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(currentColumn()) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(currentColumn()) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(currentColumn()) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(currentColumn()) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(currentColumn()) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(currentColumn()) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(currentColumn()) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(currentColumn()) }

    /// A row that wraps another hands the decoder on.
    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if let column { try decode(type, at: column) } else { try T(from: self) }
    }
}

/// The container of the row itself.
private struct RowDecodingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoding: RowDecoding
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { decoding.columnNames.compactMap(Key.init(stringValue:)) }

    func contains(_ key: Key) -> Bool { decoding.positionIfPresent(of: key) != nil }
    func decodeNil(forKey key: Key) throws -> Bool { decoding.isNull(try decoding.position(of: key)) }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decoding.bool(decoding.position(of: key)) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try decoding.text(decoding.position(of: key)) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try decoding.real(decoding.position(of: key)) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
        Float(try decoding.real(decoding.position(of: key)))
    }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decoding.integer(decoding.position(of: key)) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try decoding.integer(decoding.position(of: key)) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try decoding.integer(decoding.position(of: key)) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 {
        try decoding.integer(decoding.position(of: key))
    }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try decoding.decode(type, at: decoding.position(of: key))
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        throw decoding.nesting(try decoding.position(of: key))
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw decoding.nesting(try decoding.position(of: key))
    }

    func superDecoder() throws -> any Decoder { throw decoding.notFlat() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw decoding.notFlat() }
}

extension JSONDecoder {
    static let forRows = JSONDecoder()
}
