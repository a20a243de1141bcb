import Foundation
import Meridian
import MeridianCore
import Testing

/// Rows that do not fit their table are refused with the column's name and without its content.
@Suite struct RowCoderTests {
    private struct Wide: Codable { var number: UInt64 }
    private struct Narrow: Codable { var number: Int8 }
    private struct Text: Codable { var number: String }
    private struct Maybe: Codable { var number: Int? }
    private struct Explicit: Codable, Equatable {
        var number: Int?
        init(number: Int?) { self.number = number }
        init(from decoder: any Decoder) throws {
            number = try decoder.container(keyedBy: CodingKeys.self).decode(Int?.self, forKey: .number)
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(number, forKey: .number)
        }
        enum CodingKeys: CodingKey { case number }
    }
    private struct Nested: Codable { var number: [Int] }
    private struct Status: Codable { var number: Plan }
    private struct Wrapped<Inner: Codable>: Codable {
        var inner: Inner
        init(_ inner: Inner) { self.inner = inner }
        init(from decoder: any Decoder) throws { inner = try decoder.singleValueContainer().decode(Inner.self) }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(inner)
        }
    }
    private struct Identified: Codable { var number: Wrapped<UUID> }
    private struct Measured: Codable { var number: [Double] }

    private func encode(_ row: some Encodable, _ type: ColumnType, isOptional: Bool = false) throws -> Value {
        let columns = [ColumnSchema("number", type, isOptional: isOptional)]
        return try RowEncoder(name: "things", columns: columns).encode(row)[0]
    }

    private func decode<Row: Decodable>(
        _ row: Row.Type, _ value: Value, _ type: ColumnType, isOptional: Bool = false
    ) throws -> Row {
        let columns = [ColumnSchema("number", type, isOptional: isOptional)]
        return try RowDecoder(name: "things", columns: columns).decode(row, from: [value])
    }

    private func expectMismatch(containing text: String = "number", _ body: () throws -> Void) throws {
        let error = try #require(throws: MeridianError.self) { try body() }
        #expect(error.code == .typeMismatch)
        #expect(error.message.contains("things") && error.message.contains(text), "\(error.message)")
    }

    @Test func valueOfAnotherTypeIsRefused() throws {
        try expectMismatch(containing: "column number of table things is integer: the row has a text") {
            _ = try encode(Text(number: "Ada"), .integer)
        }
        for type in ColumnType.allCases where type != .integer && type != .json {
            try expectMismatch { _ = try encode(Maybe(number: 1), type) }
        }
        try expectMismatch(containing: "json") { _ = try encode(Nested(number: [1]), .integer) }
        try expectMismatch { _ = try encode(Identified(number: Wrapped(UUID())), .integer) }
    }

    @Test func numberThatDoesNotFitIsRefused() throws {
        #expect(try encode(Wide(number: UInt64(Int64.max)), .integer) == .integer(.max))
        try expectMismatch(containing: "outside") { _ = try encode(Wide(number: .max), .integer) }
        #expect(try decode(Narrow.self, .integer(-128), .integer).number == -128)
        try expectMismatch(containing: "Int8") { _ = try decode(Narrow.self, .integer(128), .integer) }
        try expectMismatch { _ = try decode(Wide.self, .integer(-1), .integer) }
    }

    @Test func requiredColumnIsNeverNull() throws {
        try expectMismatch(containing: "no value") { _ = try encode(Maybe(number: nil), .integer) }
        try expectMismatch(containing: "null") { _ = try decode(Narrow.self, .null, .integer) }
        #expect(try encode(Maybe(number: nil), .integer, isOptional: true) == .null)
        #expect(try decode(Maybe.self, .null, .integer, isOptional: true).number == nil)
    }

    @Test func optionalThatIsWrittenExplicitlyComesBack() throws {
        for row in [Explicit(number: nil), Explicit(number: 3)] {
            let value = try encode(row, .integer, isOptional: true)
            #expect(try decode(Explicit.self, value, .integer, isOptional: true) == row)
        }
        #expect(try encode(Explicit(number: nil), .json, isOptional: true) == .null)
    }

    @Test func columnThatTheTableLacksIsRefused() throws {
        let other = [ColumnSchema("count", .integer)]
        try expectMismatch { _ = try RowEncoder(name: "things", columns: other).encode(Narrow(number: 1)) }
        try expectMismatch {
            _ = try RowDecoder(name: "things", columns: other).decode(Narrow.self, from: [.integer(1)])
        }
    }

    @Test func rowFromBeforeAColumnWasAddedReadsNull() throws {
        let columns = [ColumnSchema("id", .integer), ColumnSchema("number", .integer, isOptional: true)]
        let decoder = RowDecoder(name: "things", columns: columns)
        #expect(try decoder.decode(Maybe.self, from: [.integer(1)]).number == nil)
    }

    @Test func unknownEnumCaseIsRefusedWithoutItsContent() throws {
        let error = try #require(throws: MeridianError.self) { try decode(Status.self, .text("Ada"), .text) }
        #expect(error.code == .typeMismatch && error.message.contains("Plan") && !error.message.contains("Ada"))
    }

    @Test func damagedJSONIsRefusedWithoutItsContent() throws {
        let error = try #require(throws: MeridianError.self) { try decode(Nested.self, .text("[Ada"), .json) }
        #expect(error.code == .typeMismatch && !error.message.contains("Ada"))
    }

    @Test func valueThatJSONCannotHoldIsRefused() throws {
        try expectMismatch { _ = try encode(Measured(number: [.nan]), .json) }
    }

    @Test func wrappersAreStoredAsWhatTheyWrap() throws {
        let id = UUID()
        let value = try encode(Identified(number: Wrapped(id)), .uuid)
        #expect(ColumnType.uuid.accepts(value))
        #expect(try decode(Identified.self, value, .uuid).number.inner == id)
        #expect(try encode(Wrapped(Narrow(number: 1)), .integer) == .integer(1))
        #expect(try decode(Wrapped<Narrow>.self, .integer(1), .integer).inner.number == 1)
    }

    @Test func uuidInATextColumnIsItsText() throws {
        let id = UUID()
        let value = try encode(Identified(number: Wrapped(id)), .text)
        #expect(value == .text(id.uuidString))
        #expect(try decode(Identified.self, value, .text).number.inner == id)
    }

    @Test func jsonOfEqualValuesIsEqual() throws {
        let address = Address(street: "/", lines: [], geo: ["b": 1, "a": 2])
        struct Row: Codable { var number: Address }
        #expect(
            try encode(Row(number: address), .json) == .text(#"{"geo":{"a":2,"b":1},"lines":[],"street":"/"}"#))
    }
}
