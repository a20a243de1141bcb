import MeridianCore

/// Learns what columns a `Codable` type has by decoding one made-up instance of it and watching what it asks for.
///
/// A synthesised `init(from:)` asks for every property, by name and by type, so one pass tells the whole schema:
/// `decode` makes a required column, `decodeIfPresent` an optional one. Every question is answered by a `Sample`.
///
/// The same pass makes instances that differ in one column, which is how `RowShape` finds the column of a key path.
///
/// What it cannot do: a type whose `init(from:)` refuses every sample, or asks for other keys than it writes. Such a
/// table is given its columns by name (`Table.init(_:columns:keyColumns:…)`).
final class RowProbe: Decoder, SingleValueDecodingContainer {
    /// What was asked for, in that order.
    private(set) var columns: [ColumnSchema] = []
    /// The column that this instance has another sample in.
    private let varied: Int?

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(varied: Int?) { self.varied = varied }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RowProbeContainer<Key>(probe: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw notFlat }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    var notFlat: MeridianError { MeridianError(.invalidTable, "it is not a flat struct with one key for each column") }

    /// The column of a key, added when it is asked for the first time, and whether this instance varies it.
    fileprivate func record(_ key: some CodingKey, _ type: ColumnType, isOptional: Bool) -> Bool {
        let name = key.stringValue
        if let position = columns.firstIndex(where: { $0.name == name }) { return position == varied }
        columns.append(ColumnSchema(name, type, isOptional: isOptional))
        return columns.count - 1 == varied
    }

    /// A sample for a key. Of an optional column, the sample is `nil` unless the column is varied.
    fileprivate func sample<T: Decodable>(_ type: T.Type, _ key: some CodingKey, isOptional: Bool) throws -> T? {
        let position = columns.firstIndex { $0.name == key.stringValue } ?? columns.count
        let sample = Sample<T>(variant: position == varied ? 1 : 0)
        guard let columnType = sample.columnType else {
            throw MeridianError(
                .invalidTable, "what its column \(key.stringValue) holds cannot be told from \(T.self)")
        }
        let isVaried = record(key, columnType, isOptional: isOptional || sample.isOptional)
        if isOptional, !isVaried { return nil }
        if let value = sample.value { return value }
        if isOptional { return nil }
        throw MeridianError(
            .invalidTable, "no value of \(T.self) could be made to find out about its column \(key.stringValue)")
    }

    func decodeNil() -> Bool { false }

    /// A row that wraps another hands the decoder on.
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try T(from: self) }
    func decode(_ type: Bool.Type) throws -> Bool { throw notFlat }
    func decode(_ type: String.Type) throws -> String { throw notFlat }
    func decode(_ type: Double.Type) throws -> Double { throw notFlat }
    func decode(_ type: Float.Type) throws -> Float { throw notFlat }
    func decode(_ type: Int.Type) throws -> Int { throw notFlat }
    func decode(_ type: Int8.Type) throws -> Int8 { throw notFlat }
    func decode(_ type: Int16.Type) throws -> Int16 { throw notFlat }
    func decode(_ type: Int32.Type) throws -> Int32 { throw notFlat }
    func decode(_ type: Int64.Type) throws -> Int64 { throw notFlat }
    func decode(_ type: UInt.Type) throws -> UInt { throw notFlat }
    func decode(_ type: UInt8.Type) throws -> UInt8 { throw notFlat }
    func decode(_ type: UInt16.Type) throws -> UInt16 { throw notFlat }
    func decode(_ type: UInt32.Type) throws -> UInt32 { throw notFlat }
    func decode(_ type: UInt64.Type) throws -> UInt64 { throw notFlat }
}

/// The container of the row itself: every question is recorded and answered. The protocol asks for simple types through
/// methods of their own, which all say the same thing.
private struct RowProbeContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let probe: RowProbe
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { false }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try probe.sample(type, key, isOptional: false)!
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        try probe.sample(type, key, isOptional: true)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> { throw probe.notFlat }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw probe.notFlat }
    func superDecoder() throws -> any Decoder { throw probe.notFlat }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw probe.notFlat }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try required(key) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try required(key) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try required(key) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try required(key) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try required(key) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try required(key) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try required(key) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try required(key) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try required(key) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try required(key) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try required(key) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try required(key) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try required(key) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try required(key) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(key) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try optional(key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(key) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try optional(key) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try optional(key) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try optional(key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(key) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try optional(key) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try optional(key) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try optional(key) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try optional(key) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try optional(key) }

    private func required<T: Decodable>(_ key: Key) throws -> T { try probe.sample(T.self, key, isOptional: false)! }
    private func optional<T: Decodable>(_ key: Key) throws -> T? { try probe.sample(T.self, key, isOptional: true) }
}
