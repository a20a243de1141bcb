import MeridianCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// JSON of which equal values are equal bytes, at any depth: what columns of type `json` hold.
///
/// A row is compared with what was read of it, column by column, and what differs counts as written
/// (`Record`); sets are compared element by element (`SetText`). A `Set`, or a `Dictionary` whose keys are no texts,
/// encodes its elements in an order of its own in every value and every process, and `JSONEncoder` takes it as it
/// comes.
/// So a column that nobody touched would count as changed, and would overwrite what another region has made of it. Here
/// the elements of such containers are sorted by their bytes, and the keys of objects by theirs.
///
/// HAZARD: a type whose own `encode(to:)` goes through a set or a dictionary by hand is an array to everybody else. It
/// has to sort.
///
/// All else is as `JSONEncoder` writes it, and `JSONDecoder` reads it: `Date` as seconds, `Data` as base64, `URL` as
/// text, `Decimal` as a number.
enum CanonicalJSON {
    /// - Throws: what the value's `encode(to:)` throws; `EncodingError` for a number that is not finite.
    static func text(of value: some Encodable) throws -> String {
        var text = ""
        try CanonicalValue(value).write(to: &text)
        return text
    }
}

/// Marks the containers whose elements come in no order.
private protocol UnorderedContainer {}
extension Set: UnorderedContainer {}
extension Dictionary: UnorderedContainer {}

/// A value on its way. Containers are references, since `Encoder` hands them out before they are filled.
private indirect enum CanonicalValue {
    case text(String)
    /// A number, a boolean or null, as it is written.
    case literal(String)
    case container(CanonicalContainer)

    static var null: CanonicalValue { .literal("null") }

    init<T: Encodable>(_ value: T) throws {
        switch value {
        case is Data, is URL, is Decimal:
            // These have a form of their own in JSON, which they take from the encoder and not from themselves.
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.withoutEscapingSlashes]
            self = .literal(String(decoding: try encoder.encode(value), as: UTF8.self))
        default:
            let encoder = CanonicalEncoder()
            try value.encode(to: encoder)
            self = encoder.value ?? .container(CanonicalContainer())
            if value is any UnorderedContainer, case .container(let container) = self {
                try container.sort(byPairs: T.self is any DictionaryType.Type)
            }
        }
    }

    init(real: some BinaryFloatingPoint & LosslessStringConvertible) throws {
        guard real.isFinite else {
            throw EncodingError.invalidValue(
                real, .init(codingPath: [], debugDescription: "a number that is not finite has no form in JSON"))
        }
        self = .literal(real.description)
    }

    func write(to text: inout String) throws {
        switch self {
        case .text(let string): Self.write(string, to: &text)
        case .literal(let literal): text += literal
        case .container(let container): try container.write(to: &text)
        }
    }

    static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

private protocol DictionaryType {}
extension Dictionary: DictionaryType {}

/// An array, or an object once it has got a key.
private final class CanonicalContainer {
    private(set) var elements: [CanonicalValue] = []
    private(set) var members: [String: CanonicalValue] = [:]
    var isObject = false

    func append(_ value: CanonicalValue) { elements.append(value) }
    func set(_ key: any CodingKey, _ value: CanonicalValue) { members[key.stringValue] = value }

    /// Brings elements that came in no order into one.
    /// - Parameter byPairs: whether each second one is the value of the key before it.
    func sort(byPairs: Bool) throws {
        let width = byPairs ? 2 : 1
        var groups: [(text: [UInt8], values: ArraySlice<CanonicalValue>)] = []
        for start in stride(from: 0, to: elements.count, by: width) {
            var text = ""
            try elements[start].write(to: &text)
            groups.append((Array(text.utf8), elements[start..<min(start + width, elements.count)]))
        }
        groups.sort { $0.text.lexicographicallyPrecedes($1.text) }
        elements = groups.flatMap(\.values)
    }

    func write(to text: inout String) throws {
        guard isObject else {
            text += "["
            for (position, element) in elements.enumerated() {
                if position > 0 { text += "," }
                try element.write(to: &text)
            }
            text += "]"
            return
        }
        text += "{"
        let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        for (position, member) in sorted.enumerated() {
            if position > 0 { text += "," }
            CanonicalValue.write(member.key, to: &text)
            text += ":"
            try member.value.write(to: &text)
        }
        text += "}"
    }
}

/// One value of whatever kind. It puts what it gets where its maker says.
private final class CanonicalEncoder: Encoder, SingleValueEncodingContainer {
    var value: CanonicalValue?
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// A type may ask for its container more than once.
    private func container(isObject: Bool) -> CanonicalContainer {
        if case .container(let known)? = value { return known }
        let container = CanonicalContainer()
        container.isObject = isObject
        value = .container(container)
        return container
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(CanonicalObject<Key>(container: container(isObject: true)))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer { CanonicalArray(container: container(isObject: false)) }
    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() { value = .null }
    func encode(_ bool: Bool) { value = .literal(bool ? "true" : "false") }
    func encode(_ string: String) { value = .text(string) }
    func encode(_ real: Double) throws { value = try CanonicalValue(real: real) }
    func encode(_ real: Float) throws { value = try CanonicalValue(real: real) }
    func encode<T: Encodable & BinaryInteger>(_ integer: T) { value = .literal("\(integer)") }
    func encode<T: Encodable>(_ other: T) throws { value = try CanonicalValue(other) }
}

private struct CanonicalArray: UnkeyedEncodingContainer {
    let container: CanonicalContainer
    var codingPath: [any CodingKey] { [] }
    var count: Int { container.elements.count }

    func encodeNil() { container.append(.null) }
    func encode<T: Encodable>(_ value: T) throws { container.append(try CanonicalValue(value)) }

    private func nested(isObject: Bool) -> CanonicalContainer {
        let nested = CanonicalContainer()
        nested.isObject = isObject
        container.append(.container(nested))
        return nested
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        KeyedEncodingContainer(CanonicalObject<NestedKey>(container: nested(isObject: true)))
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { CanonicalArray(container: nested(isObject: false)) }
    func superEncoder() -> any Encoder { CanonicalPlace { container.append($0) } }
}

private struct CanonicalObject<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let container: CanonicalContainer
    var codingPath: [any CodingKey] { [] }

    func encodeNil(forKey key: Key) { container.set(key, .null) }
    func encode<T: Encodable>(_ value: T, forKey key: Key) throws { container.set(key, try CanonicalValue(value)) }

    private func nested(_ key: any CodingKey, isObject: Bool) -> CanonicalContainer {
        let nested = CanonicalContainer()
        nested.isObject = isObject
        container.set(key, .container(nested))
        return nested
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        KeyedEncodingContainer(CanonicalObject<NestedKey>(container: nested(key, isObject: true)))
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        CanonicalArray(container: nested(key, isObject: false))
    }
    func superEncoder() -> any Encoder { CanonicalPlace { container.set(SuperKey(), $0) } }
    func superEncoder(forKey key: Key) -> any Encoder { CanonicalPlace { container.set(key, $0) } }
}

private struct SuperKey: CodingKey {
    var stringValue: String { "super" }
    var intValue: Int? { nil }
    init() {}
    init?(stringValue: String) { nil }
    init?(intValue: Int) { nil }
}

/// An encoder whose value goes into a container as soon as it is begun.
private final class CanonicalPlace: Encoder {
    private let place: (CanonicalValue) -> Void
    private let encoder = CanonicalEncoder()
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ place: @escaping (CanonicalValue) -> Void) { self.place = place }

    private func placed<Container>(_ container: Container) -> Container {
        if let value = encoder.value { place(value) }
        return container
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        placed(encoder.container(keyedBy: type))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer { placed(encoder.unkeyedContainer()) }
    func singleValueContainer() -> any SingleValueEncodingContainer { CanonicalPlaceValue(place: place) }
}

private struct CanonicalPlaceValue: SingleValueEncodingContainer {
    let place: (CanonicalValue) -> Void
    var codingPath: [any CodingKey] { [] }
    func encodeNil() { place(.null) }
    func encode<T: Encodable>(_ value: T) throws { place(try CanonicalValue(value)) }
}
