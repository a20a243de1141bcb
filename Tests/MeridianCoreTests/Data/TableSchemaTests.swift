import MeridianCore
import Testing

@Suite struct TableSchemaTests {
    private let users = TableSchema(
        name: "users",
        columns: [
            ColumnSchema("id", .uuid), ColumnSchema("region", .text), ColumnSchema("name", .text, isOptional: true),
            ColumnSchema("tags", .json),
        ],
        keyColumns: [0], regionColumn: 1)

    private func changed(_ change: (inout TableSchema) -> Void) -> TableSchema {
        var schema = users
        change(&schema)
        return schema
    }

    private func refusal(_ change: (inout TableSchema) -> Void) throws -> String {
        let schema = changed(change)
        let error = try #require(throws: MeridianError.self) { try schema.validate() }
        #expect(error.code == .invalidTable)
        return error.message
    }

    @Test func validSchemaIsAccepted() throws {
        try users.validate()
        try changed { $0.regionColumn = nil }.validate()
        try changed {
            $0.keyColumns = [2, 0]; $0.columns[2].isOptional = false
        }.validate()
    }

    @Test func namesAreChecked() throws {
        #expect(try refusal { $0.name = "" }.contains("name"))
        #expect(try refusal { $0.name = "my table" }.contains("ASCII"))
        #expect(try refusal { $0.name = "1st" }.contains("ASCII"))
        #expect(try refusal { $0.name = String(repeating: "x", count: 65) }.contains("65 bytes"))
        #expect(try refusal { $0.columns[1].name = "id" }.contains("two columns named id"))
        #expect(try refusal { $0.columns[1].name = "" }.contains("column 1"))
        #expect(try refusal { $0.columns[1].name = "a\n" }.contains("control characters"))
        #expect(try refusal { $0.columns[1].name = String(repeating: "é", count: 33) }.contains("66 bytes"))
    }

    @Test func keyColumnsAreChecked() throws {
        #expect(try refusal { $0.keyColumns = [] }.contains("no key column"))
        #expect(try refusal { $0.keyColumns = [4] }.contains("no column 4"))
        #expect(try refusal { $0.keyColumns = [0, 0] }.contains("twice"))
        #expect(try refusal { $0.keyColumns = [2] }.contains("name must not be optional"))
        #expect(try refusal { $0.keyColumns = [3] }.contains("tags holds JSON"))
        #expect(try refusal { $0.columns = [] }.contains("no columns"))
    }

    @Test func regionColumnIsRequiredText() throws {
        #expect(try refusal { $0.regionColumn = 9 }.contains("no column 9"))
        #expect(try refusal { $0.regionColumn = 0 }.contains("must be text, it is uuid"))
        #expect(try refusal { $0.regionColumn = 2 }.contains("must not be optional"))
    }

    @Test func storedSchemaComesBackEqual() throws {
        #expect(try TableSchema(encoded: users.encoded()) == users)
        let plain = changed {
            $0.regionColumn = nil; $0.keyColumns = [1, 0]
        }
        #expect(try TableSchema(encoded: plain.encoded()) == plain)
    }

    @Test(arguments: 0..<20)
    func damagedStoredSchemaIsReported(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<200 {
            var bytes = try users.encoded()
            bytes[Int(random.below(UInt64(bytes.count)))] = random.byte()
            if random.below(2) == 0 { bytes.removeLast(Int(random.below(UInt64(bytes.count)))) }
            do {
                try TableSchema(encoded: bytes).validate()
            } catch {
                #expect([.corruption, .newerFormat].contains(error.code))
            }
        }
    }

    @Test func storedValuesThatAreNoSchemaAreCorrupt() throws {
        let rows: [[Value]] = [
            [], [.integer(1)], [.integer(1), .text("t"), .null, .integer(-1)],
            [.integer(1), .text("t"), .integer(.max), .integer(1), .integer(.min), .integer(0)],
        ]
        for row in rows {
            let bytes = try RowCoding.encode(row, name: "t")
            let error = try #require(throws: MeridianError.self) { try TableSchema(encoded: bytes) }
            #expect(error.code == .corruption)
        }
    }

    @Test func mismatchNamesTheFirstDifference() {
        #expect(users.mismatch(with: users) == nil)
        let expectations: [(TableSchema, String)] = [
            (changed { $0.name = "people" }, "the program names it users, the cluster people"),
            (changed { $0.columns[1].name = "home" }, "column 1 is region in the program and home in the cluster"),
            (changed { $0.columns[0].type = .text }, "column id is uuid in the program and text in the cluster"),
            (
                changed { $0.columns[2].isOptional = false },
                "column name is optional in the program and not in the cluster"
            ),
            (
                changed { $0.columns[0].isOptional = true },
                "column id is optional in the cluster and not in the program"
            ),
            (changed { $0.columns.removeLast() }, "the program has a column tags, the cluster does not"),
            (
                changed { $0.columns.append(ColumnSchema("age", .integer)) },
                "the cluster has a column age, the program does not"
            ),
            (changed { $0.keyColumns = [1, 0] }, "its key is (id) in the program and (region, id) in the cluster"),
            (
                changed { $0.regionColumn = nil },
                "the region of its rows is region in the program and not a column in the cluster"
            ),
        ]
        for (stored, expected) in expectations { #expect(users.mismatch(with: stored) == expected) }
    }

    @Test func keyAndRegionComeOutOfTheRow() {
        let row: [Value] = [.blob([UInt8](repeating: 1, count: 16)), .text("eu-west-1"), .null, .text("[]")]
        #expect(users.keyValues(of: row) == [row[0]])
        #expect(users.region(of: row) == "eu-west-1")
        #expect(changed { $0.regionColumn = nil }.region(of: row) == nil)
    }

    @Test func everyTypeAcceptsItsOwnStorageClass() {
        var random = SplitMix64(seed: 1)
        for type in ColumnType.allCases {
            #expect(type.accepts(random.value(of: type)))
            #expect(!type.accepts(.null))
        }
        #expect(!ColumnType.uuid.accepts(.blob([1])))
        #expect(!ColumnType.boolean.accepts(.integer(2)))
    }
}
