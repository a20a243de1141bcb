import Foundation
import Meridian
import MeridianCore
import Testing

@Suite struct TableTests {
    private let users = Table<User>("users", key: \.id, locality: .regionalByRow(\.region), placement: .restricted)
    private let everything = Table<Everything>("everything", key: \.id, locality: .global)

    @Test func declarationSaysItsSchema() throws {
        let layout = try users.layout
        #expect(
            layout.schema
                == TableSchema(
                    name: "users",
                    columns: [
                        ColumnSchema("id", .uuid), ColumnSchema("region", .text), ColumnSchema("name", .text),
                        ColumnSchema("age", .integer, isOptional: true),
                    ], keyColumns: [0], regionColumn: 1))
        #expect(layout.locality == .regionalByRow(column: "region"))
        #expect((users.survival, users.placement, users.mode) == (.zone, .restricted, .synchronous))
    }

    @Test func everyKindOfPropertyHasItsColumnType() throws {
        let expected: [(String, ColumnType)] = [
            ("id", .integer), ("bool", .boolean), ("int8", .integer), ("int16", .integer), ("int32", .integer),
            ("int64", .integer), ("uint", .integer), ("uint8", .integer), ("uint16", .integer), ("uint32", .integer),
            ("double", .real), ("float", .real), ("text", .text), ("uuid", .uuid), ("date", .date), ("data", .blob),
            ("bytes", .blob), ("region", .text), ("home", .text), ("plan", .text), ("grade", .integer),
            ("contact", .json), ("address", .json), ("tags", .json), ("link", .json), ("note", .text), ("seen", .date),
            ("other", .uuid), ("backup", .text), ("second", .json), ("blob", .blob),
        ]
        let columns = try everything.layout.schema.columns
        #expect(columns.map(\.name) == expected.map(\.0))
        #expect(columns.map(\.type) == expected.map(\.1))
        #expect(columns.filter(\.isOptional).map(\.name) == ["note", "seen", "other", "backup", "second", "blob"])
    }

    @Test(arguments: [Everything.full, .sparse])
    func rowComesBackEqual(row: Everything) throws {
        let values = try everything.encode(row)
        for (value, column) in zip(values, try everything.layout.schema.columns) {
            #expect(column.type.accepts(value) || (column.isOptional && value == .null), "\(column.name)")
        }
        let stored = try RowCoding.decode(RowCoding.encode(values, name: "everything"), name: "everything")
        #expect(try everything.decode(stored) == row)
    }

    @Test(arguments: [Date.distantPast, .distantFuture, Date(), Date(timeIntervalSince1970: 0.1)])
    func dateComesBackEqual(date: Date) throws {
        var row = Everything.full
        row.date = date
        #expect(try everything.decode(everything.encode(row)).date == date)
    }

    @Test func keyPathsOfEverySimpleTypeAreFound() throws {
        func column<Key: Codable & Hashable & Sendable>(
            _ path: any KeyPath<Everything, Key> & Sendable
        ) throws -> String {
            let schema = try Table<Everything>("t", key: path, locality: .global).layout.schema
            return schema.columns[schema.keyColumns[0]].name
        }
        #expect(try column(\.id) == "id")
        #expect(try column(\.bool) == "bool")
        #expect(try column(\.uint8) == "uint8")
        #expect(try column(\.double) == "double")
        #expect(try column(\.text) == "text")
        #expect(try column(\.uuid) == "uuid")
        #expect(try column(\.date) == "date")
        #expect(try column(\.data) == "data")
        #expect(try column(\.bytes) == "bytes")
        #expect(try column(\.region) == "region")
        #expect(try column(\.home) == "home")
        #expect(try column(\.plan) == "plan")
        #expect(try column(\.grade) == "grade")
    }

    @Test func regionMayBeATypeOfItsOwn() throws {
        let byRegion = Table<Everything>("t", key: \.id, locality: .regionalByRow(\.region))
        #expect(try byRegion.layout.schema.region(of: byRegion.encode(.full)) == "eu-west-1")
        let byEnum = Table<Everything>("t", key: \.id, locality: .regionalByRow(\.home))
        #expect(try byEnum.layout.schema.region(of: byEnum.encode(.full)) == "us-east-1")
        let byPlan = Table<Everything>("t", key: \.id, locality: .regionalByRow(\.plan))
        #expect(try byPlan.layout.locality == .regionalByRow(column: "plan"))
    }

    @Test func keysAreGivenWithoutTheirRow() throws {
        let row = Everything.full
        let table = Table<Everything>("t", keyColumns: ["home", "uuid", "id"], locality: .regional(in: "eu-west-1"))
        let key = try table.keyValues(row.home, row.uuid, row.id)
        #expect(try key == table.layout.schema.keyValues(of: table.encode(row)))
        #expect(try table.keyPrefixValues(row.home) == [key[0]])
        #expect(try refusal { _ = try table.keyValues(row.home) } == (.typeMismatch, true))
        #expect(try refusal { _ = try table.keyValues(row.home, row.uuid, row.id, 1) } == (.typeMismatch, true))
        #expect(try refusal { _ = try table.keyValues(row.home, row.id, row.uuid) } == (.typeMismatch, true))
        #expect(try refusal { _ = try users.keyValues(UUID?.none) } == (.typeMismatch, true))
    }

    /// The code of what is thrown, and whether its message names a table.
    private func refusal(_ body: () throws -> Void) throws -> (MeridianError.Code, Bool) {
        let error = try #require(throws: MeridianError.self) { try body() }
        return (error.code, error.message.contains("table"))
    }
}

/// What is wrong with a declaration is thrown where the table is used, with what to do.
@Suite struct TableDeclarationTests {
    private struct Computed: Codable, Hashable, Sendable {
        var first: String
        var last: String
        var tags: [String]
        var nickname: String?
        var full: String { first + last }
        var length: Int { first.utf8.count }
        var constant: Int { 1 }
    }

    private struct Strict: Codable, Sendable {
        var id: Int
        var code: String
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            id = try container.decode(Int.self, forKey: .id)
            code = try container.decode(String.self, forKey: .code)
            guard code.hasPrefix("X-") else {
                throw DecodingError.dataCorruptedError(forKey: .code, in: container, debugDescription: "no code")
            }
        }
    }

    private struct Renamed: Codable, Sendable {
        var id: Int
        var value: String
        enum CodingKeys: String, CodingKey {
            case id = "identifier"
            case value
        }
    }

    private func message<Row>(_ table: Table<Row>) throws -> String {
        let error = try #require(throws: MeridianError.self) { try table.validate() }
        #expect(error.code == .invalidTable)
        #expect(error.message.contains("table \(table.name)"))
        return error.message
    }

    @Test func keyPathThatIsNoColumnIsRefused() throws {
        #expect(try message(Table<Computed>("t", key: \.full, locality: .global)).contains("several"))
        #expect(try message(Table<Computed>("t", key: \.first.count, locality: .global)).contains("keyColumns"))
        #expect(try message(Table<Computed>("t", key: \.constant, locality: .global)).contains("keyColumns"))
        #expect(try message(Table<Computed>("t", key: \.self, locality: .global)).contains("several"))
        #expect(try message(Table<Computed>("t", key: \.tags, locality: .global)).contains("keyColumns"))
        #expect(try message(Table<Computed>("t", key: \.nickname, locality: .global)).contains("optional"))
    }

    @Test func namesThatAreNotThereAreRefused() throws {
        #expect(try message(Table<User>("t", keyColumns: ["di"], locality: .global)).contains("no column di among id"))
        #expect(try message(Table<User>("t", keyColumns: [], locality: .global)).contains("no key column"))
        let table = Table<User>("t", key: \.id, locality: .regionalByRow(column: "home"))
        #expect(try message(table).contains("no column home"))
        #expect(try message(Table<User>("t", key: \.id, locality: .regionalByRow(\.id))).contains("must be text"))
        #expect(throws: MeridianError.self) { try Table<User>("a b", key: \.id, locality: .global).validate() }
    }

    @Test func typeThatRefusesMadeUpValuesIsDeclaredByColumns() throws {
        #expect(try message(Table<Strict>("t", key: \.id, locality: .global)).contains("columns:"))
        let table = Table<Strict>(
            "t", columns: [ColumnSchema("id", .integer), ColumnSchema("code", .text)], keyColumns: ["id"],
            locality: .global)
        let row = try table.decode([.integer(1), .text("X-1")])
        #expect(try table.encode(row) == [.integer(1), .text("X-1")])
        let error = try #require(throws: MeridianError.self) { try table.decode([.integer(1), .text("Ada")]) }
        #expect(error.code == .typeMismatch && !error.message.contains("Ada"))
    }

    @Test func columnsAreCalledAsTheirCodingKeysAre() throws {
        let table = Table<Renamed>("t", key: \.id, locality: .global)
        #expect(try table.layout.schema.columns.map(\.name) == ["identifier", "value"])
        #expect(try table.layout.schema.keyColumns == [0])
    }

    @Test func listIsNoRow() throws {
        #expect(try message(Table<[Int]>("t", key: \.count, locality: .global)).contains("flat"))
        #expect(try message(Table<Int>("t", key: \.self, locality: .global)).contains("flat"))
    }
}
