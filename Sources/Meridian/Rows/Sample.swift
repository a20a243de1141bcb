import MeridianCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A made-up value of a `Decodable` type, and the column type that the type calls for.
///
/// Where the type is simple the answer is known. Otherwise its own `init(from:)` is run on a `SampleDecoder`, which
/// notes what it asks for (a text? a list?) and answers with one candidate after the other until the type is content:
/// an `enum` over `String` refuses most, a `URL` takes some. An enum that refuses all of them is asked for `allCases`,
/// or made from its bits.
///
/// Variants 0 and 1 are meant to differ. Where a second value cannot be made, variant 1 is the first one again, and a
/// key path to the column stays undetermined, which `RowShape` reports.
struct Sample<T: Decodable> {
    private(set) var value: T?
    private(set) var columnType: ColumnType?
    /// The type is itself an optional.
    private(set) var isOptional = false

    init(variant: Int) {
        precondition(variant == 0 || variant == 1, "sample variant \(variant)")
        if let known = SampleDecoder.known(T.self, candidate: variant) {
            (value, columnType) = known
            return
        }
        var accepted: [T] = []
        for candidate in 0..<SampleDecoder.candidateCount where accepted.count <= variant {
            let decoder = SampleDecoder(candidate: candidate)
            if let value = try? T(from: decoder) { accepted.append(value) }
            columnType = columnType ?? decoder.columnType
            isOptional = isOptional || decoder.askedForNil
        }
        if accepted.count > variant {
            value = accepted[variant]
            return
        }
        if let enumeration = T.self as? any CaseIterable.Type {
            let cases = Self.firstCases(enumeration)
            if cases.count > variant {
                value = cases[variant]
                return
            }
        }
        value = EnumBits.value(of: T.self, number: UInt8(variant)) ?? accepted.first
        if value == nil { value = EnumBits.value(of: T.self, number: 0) }
    }

    private static func firstCases<Cases: CaseIterable>(_ type: Cases.Type) -> [T] {
        type.allCases.prefix(2).compactMap { $0 as? T }
    }
}

/// Enums made from their bits: a last resort that is right for the enums it is limited to.
///
/// An enum of at most 256 cases that holds nothing but bits is one byte; zero is its first case. If it is
/// `RawRepresentable` its cases hold nothing, so that one is its second case (an enum of a single case has no byte).
enum EnumBits {
    static func value<T>(of type: T.Type, number: UInt8) -> T? {
        guard _isPOD(type), MemoryLayout<T>.size == 1 else { return nil }
        guard number == 0 || (number == 1 && type is any RawRepresentable.Type) else { return nil }
        guard isEnum(type) else { return nil }
        return unsafeBitCast(number, to: type)
    }

    /// By the kind in the type's metadata (`MetadataKind.def` of the Swift runtime, stable since ABI stability).
    private static func isEnum(_ type: Any.Type) -> Bool {
        unsafeBitCast(type, to: UnsafePointer<Int>.self).pointee == 0x201
    }
}

/// Plays a stored value to a type's `init(from:)` and notes what kind of value it takes it for.
final class SampleDecoder: Decoder, SingleValueDecodingContainer {
    static let candidateCount = 12
    private static let texts = [
        "a", "b", "1", "2", "2001-01-01T00:00:00Z", "2002-02-02T00:00:00Z", "00000000-0000-4000-8000-000000000001",
        "00000000-0000-4000-8000-000000000002", "https://example.com/a", "https://example.com/b", "a@example.com", "en",
    ]

    private let candidate: Int
    /// What the first question was about.
    private(set) var columnType: ColumnType?
    private(set) var askedForNil = false

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(candidate: Int) {
        precondition(0..<Self.candidateCount ~= candidate, "candidate \(candidate) of \(Self.candidateCount)")
        self.candidate = candidate
    }

    /// The types that are stored without asking them.
    static func known<T>(_ type: T.Type, candidate: Int) -> (T, ColumnType)? {
        let number = UInt8(candidate + 1)
        let known: (Any, ColumnType)? =
            switch type {
            case is UUID.Type:
                (UUID(uuid: (0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, number)), .uuid)
            case is Date.Type: (Date(timeIntervalSinceReferenceDate: Double(number)), .date)
            case is Data.Type: (Data([number]), .blob)
            case is [UInt8].Type: ([number], .blob)
            case is Bool.Type: (candidate % 2 == 1, .boolean)
            case is String.Type: (texts[candidate], .text)
            case is Double.Type: (Double(number), .real)
            case is Float.Type: (Float(number), .real)
            // Zero comes late: it is the value that checks refuse most often.
            case let type as any FixedWidthInteger.Type: (integer(type, candidate), .integer)
            default: nil
            }
        guard let (value, columnType) = known else { return nil }
        return (value as! T, columnType)
    }

    private static func integer<Integer: FixedWidthInteger>(_ type: Integer.Type, _ candidate: Int) -> Integer {
        Integer(candidate == candidateCount - 1 ? 0 : candidate + 1)
    }

    private func note(_ type: ColumnType) { columnType = columnType ?? type }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        note(.json)
        return KeyedDecodingContainer(SampleContainer<Key>(decoder: self, candidate: candidate))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        note(.json)
        return SampleList(decoder: self)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool {
        askedForNil = columnType == nil
        return false
    }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if let (value, columnType) = Self.known(type, candidate: candidate) {
            note(columnType)
            return value
        }
        return try T(from: self)
    }

    private func simple<T: Decodable>(_ type: T.Type) -> T {
        let (value, columnType) = Self.known(type, candidate: candidate)!
        note(columnType)
        return value
    }

    func decode(_ type: Bool.Type) throws -> Bool { simple(type) }
    func decode(_ type: String.Type) throws -> String { simple(type) }
    func decode(_ type: Double.Type) throws -> Double { simple(type) }
    func decode(_ type: Float.Type) throws -> Float { simple(type) }
    func decode(_ type: Int.Type) throws -> Int { simple(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { simple(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { simple(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { simple(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { simple(type) }
    func decode(_ type: UInt.Type) throws -> UInt { simple(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { simple(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { simple(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { simple(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { simple(type) }
}

/// A nested object: every key is there, nothing optional is set.
private struct SampleContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: SampleDecoder
    let candidate: Int
    var codingPath: [any CodingKey] { [] }

    /// An enum with payloads decodes from an object with one key, the name of a case; others look at their own keys. So
    /// later candidates offer the first key, if the keys are an enum themselves, as synthesised ones are.
    var allKeys: [Key] {
        guard candidate >= 2 else { return [] }
        return EnumBits.value(of: Key.self, number: 0).map { [$0] } ?? []
    }

    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) throws -> Bool { false }
    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? { nil }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        if let (value, _) = SampleDecoder.known(type, candidate: candidate) { return value }
        guard let value = Sample<T>(variant: candidate == 1 ? 1 : 0).value else {
            throw MeridianError(.invalidTable, "no value of \(T.self) could be made")
        }
        return value
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        KeyedDecodingContainer(SampleContainer<NestedKey>(decoder: decoder, candidate: candidate))
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { SampleList(decoder: decoder) }
    func superDecoder() throws -> any Decoder { decoder }
    func superDecoder(forKey key: Key) throws -> any Decoder { decoder }
}

/// A nested list: empty, yet whoever asks for an element without looking gets one.
private struct SampleList: UnkeyedDecodingContainer {
    let decoder: SampleDecoder
    private(set) var currentIndex = 0

    init(decoder: SampleDecoder) { self.decoder = decoder }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { 0 }
    var isAtEnd: Bool { true }

    mutating func decodeNil() throws -> Bool { false }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        currentIndex += 1
        return try decoder.decode(type)
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try decoder.container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { self }
    mutating func superDecoder() throws -> any Decoder { decoder }
}
