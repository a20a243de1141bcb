import Meridian
import MeridianCore
import MeridianSimulation
import Testing

private struct Item: Codable, Hashable, Sendable {
    var id: String
    var count: Int
}

private struct Refused: Error {}

private let items = Table<Item>("items", key: \.id, locality: .regional(in: "eu-west-1"))
private let others = Table<Item>("others", key: \.id, locality: .regional(in: "us-east-1"))

@Suite struct SavepointTests {
    private func run(_ body: @escaping @Sendable (Database) async throws -> Void) throws {
        let world = try SimulatedWorld(seed: 3, topology: .aws(["us-east-1", "eu-west-1"]))
        try world.run { world in
            let database = world.database(in: "eu-west-1")
            try await database.write { try await $0.insert(Item(id: "taken", count: 1), into: items) }
            try await database.write { try await $0.insert(Item(id: "far", count: 1), into: others) }
            try await body(database)
        }
    }

    @Test func whatAFailedPartWroteIsUndoneAndTheRestCommits() throws {
        try run { database in
            try await database.write { transaction in
                try await transaction.insert(Item(id: "a", count: 1), into: items)
                await #expect(throws: Refused.self) {
                    try await transaction.savepoint {
                        try await transaction.update(Item(id: "a", count: 2), in: items)
                        try await transaction.insert(Item(id: "b", count: 1), into: items)
                        try await transaction.delete("taken", from: items)
                        throw Refused()
                    }
                }
                #expect(try await transaction.get("a", from: items)?.count == 1)
                #expect(try await transaction.get("b", from: items) == nil)
            }
            let rows = try await database.read { try await $0.scan(items) }
            #expect(rows == [Item(id: "a", count: 1), Item(id: "taken", count: 1)])
        }
    }

    /// The key is taken, which only the commit finds out: with the insertion its condition is gone.
    @Test func theConditionsOfUndoneWritesAreVoid() throws {
        try run { database in
            try await database.write { transaction in
                try? await transaction.savepoint {
                    try await transaction.insert(Item(id: "taken", count: 9), into: items)
                    throw Refused()
                }
                try await transaction.upsert(Item(id: "c", count: 1), into: items)
            }
            #expect(try await database.read { try await $0.get("taken", from: items)?.count } == 1)
            #expect(try await database.read { try await $0.get("c", from: items)?.count } == 1)
        }
    }

    @Test func whatAFailedPartHasReadStillCounts() throws {
        try run { database in
            let receipt = try await database.write { transaction in
                try? await transaction.savepoint {
                    let row = try await transaction.get("taken", from: items)
                    if row?.count == 1 {
                        // Somebody else, in the meantime and in the first attempt only.
                        try await database.write { try await $0.update(Item(id: "taken", count: 2), in: items) }
                    }
                    throw Refused()
                }
                try await transaction.upsert(Item(id: "d", count: 1), into: items)
            }
            #expect(receipt.attempts == 2)
        }
    }

    @Test func aPartThatOnlyWroteUnbindsItsTable() throws {
        try run { database in
            try await database.write { transaction in
                try? await transaction.savepoint {
                    try await transaction.upsert(Item(id: "far", count: 5), into: others)
                    throw Refused()
                }
                try await transaction.upsert(Item(id: "e", count: 1), into: items)
            }
            #expect(try await database.read { try await $0.get("far", from: others)?.count } == 1)
        }
    }

    @Test func partsNestAndGiveTheirResult() throws {
        try run { database in
            try await database.write { transaction in
                let result = try await transaction.savepoint {
                    try await transaction.upsert(Item(id: "outer", count: 1), into: items)
                    try? await transaction.savepoint {
                        try await transaction.upsert(Item(id: "inner", count: 1), into: items)
                        throw Refused()
                    }
                    return 7
                }
                #expect(result == 7)
            }
            let rows = try await database.read { try await $0.scan(items) }
            #expect(rows.map(\.id) == ["outer", "taken"])
        }
    }
}
