import MeridianCore
import Synchronization
import Testing

@testable import Meridian

/// Savepoints and child tasks that run at the same time inside of one closure.
@Suite struct ConcurrentSavepointTests {
    struct Row: Codable, Sendable, Equatable {
        var id: Int
        var value: Int
    }
    struct Homed: Codable, Sendable, Equatable {
        var id: Int
        var region: String
        var value: Int
    }
    private struct GivenUp: Error {}

    private static let east: Region = "us-east-1"
    private static let rows = Table<Row>("rows", key: \.id, locality: .regional(in: east))
    private static let homed = Table<Homed>("homed", key: \.id, locality: .regionalByRow(\.region))
    private static let copies = Table<Row>("copies", key: \.id, convergence: .columns(.counter(\.value)))

    /// Opens once.
    private final class Gate: Sendable {
        private let (stream, continuation) = AsyncStream<Void>.makeStream()
        func open() { continuation.finish() }
        func wait() async { for await _ in stream {} }
    }

    private func withDatabase(
        _ regions: [Region] = [east], _ body: (Database) async throws -> Void
    ) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(regions, nodesPerRegion: 1),
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false))
        do {
            let db = cluster.database(in: Self.east)
            try await db.write { tx in
                for id in 1...4 { try await tx.insert(Row(id: id, value: 0), into: Self.rows) }
            }
            try await body(db)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func values(_ db: Database) async throws -> [Int: Int] {
        let rows = try await db.read { try await $0.scan(Self.rows) }
        return Dictionary(uniqueKeysWithValues: rows.map { ($0.id, $0.value) })
    }

    /// The finding: the one that fails later put back what the other had undone, and what was read between was not
    /// checked.
    @Test func aSavepointThatFailsUndoesItsOwnWritesAndNothingElse() async throws {
        try await withDatabase { db in
            let runs = Atomic(0)
            try await db.write { tx in
                let isFirst = runs.add(1, ordering: .relaxed).newValue == 1
                let (begun, other, failed, end) = (Gate(), Gate(), Gate(), Gate())
                async let a: Void = {
                    try? await tx.savepoint {
                        try await tx.insert(Row(id: 99, value: 99), into: Self.rows)
                        begun.open()
                        await other.wait()
                        throw GivenUp()
                    }
                    failed.open()
                }()
                async let b: Void = {
                    await begun.wait()
                    try? await tx.savepoint {
                        other.open()
                        await end.wait()
                        throw GivenUp()
                    }
                }()
                await failed.wait()
                let one = try await tx.get(1, from: Self.rows)
                end.open()
                _ = await (a, b)
                if isFirst { try await db.write { try await $0.update(Row(id: 1, value: 100), in: Self.rows) } }
                try await tx.upsert(Row(id: 2, value: (one?.value ?? 0) + 1), into: Self.rows)
            }
            #expect(runs.load(ordering: .relaxed) == 2)
            #expect(try await values(db) == [1: 100, 2: 101, 3: 0, 4: 0])
        }
    }

    @Test func whatASavepointHasReadIsCheckedWhateverIsUndone() async throws {
        try await withDatabase { db in
            let runs = Atomic(0)
            try await db.write { tx in
                let isFirst = runs.add(1, ordering: .relaxed).newValue == 1
                var seen = 0
                try? await tx.savepoint {
                    seen = try await tx.get(1, from: Self.rows)!.value
                    try await tx.upsert(Row(id: 50, value: 0), into: Self.rows)
                    throw GivenUp()
                }
                if isFirst { try await db.write { try await $0.update(Row(id: 1, value: 7), in: Self.rows) } }
                try await tx.upsert(Row(id: 2, value: seen), into: Self.rows)
            }
            #expect(runs.load(ordering: .relaxed) == 2)
            #expect(try await values(db) == [1: 7, 2: 7, 3: 0, 4: 0])
        }
    }

    @Test func siblingsSeeEachOtherOnlyOnceTheyHaveEnded() async throws {
        try await withDatabase { db in
            try await db.write { tx in
                try await tx.update(Row(id: 1, value: 1), in: Self.rows)
                let (written, seen) = (Gate(), Gate())
                async let a: Void = tx.savepoint {
                    try await tx.update(Row(id: 2, value: 2), in: Self.rows)
                    try await tx.insert(Row(id: 5, value: 5), into: Self.rows)
                    written.open()
                    await seen.wait()
                }
                await written.wait()
                #expect(try await tx.get(2, from: Self.rows)?.value == 0)
                let other: Void? = try? await tx.savepoint {
                    let found = try await tx.scan(Self.rows).map(\.value)
                    #expect(found == [1, 0, 0, 0], "the layer below, and no sibling")
                    throw GivenUp()
                }
                #expect(other == nil)
                seen.open()
                try await a
                #expect(try await tx.scan(Self.rows).map(\.value) == [1, 2, 0, 0, 5])
            }
            #expect(try await values(db) == [1: 1, 2: 2, 3: 0, 4: 0, 5: 5])
        }
    }

    enum Access: CaseIterable { case get, scan, insert, delete }

    /// - Parameter access: how the later one has read what the earlier one writes.
    @Test(arguments: Access.allCases) func ofTwoThatWouldNotBeOneAfterTheOtherTheLaterIsRefused(_ access: Access)
        async throws
    {
        try await withDatabase { db in
            try await db.write { tx in
                let (read, ended) = (Gate(), Gate())
                async let later: MeridianError? = {
                    do {
                        try await tx.savepoint {
                            switch access {
                            case .get: _ = try await tx.get(9, from: Self.rows)
                            case .scan: _ = try await tx.scan(Self.rows)
                            case .insert: try await tx.insert(Row(id: 9, value: 1), into: Self.rows)
                            case .delete: try await tx.delete(4, from: Self.rows)
                            }
                            read.open()
                            await ended.wait()
                            try await tx.upsert(Row(id: 3, value: 3), into: Self.rows)
                        }
                        return nil
                    } catch { return error as? MeridianError }
                }()
                await read.wait()
                try await tx.savepoint {
                    try await tx.insert(Row(id: 9, value: 9), into: Self.rows)
                    try await tx.delete(4, from: Self.rows)
                }
                ended.open()
                #expect(await later?.code == .savepointConflict)
                // It is undone, and the transaction goes on.
                #expect(try await tx.get(3, from: Self.rows)?.value == 0)
            }
            #expect(try await values(db) == [1: 0, 2: 0, 3: 0, 9: 9])
        }
    }

    @Test func savepointsThatRetryCountEveryIncrement() async throws {
        try await withDatabase { db in
            try await db.write(deadline: .seconds(30)) { tx in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            while true {
                                do {
                                    try await tx.savepoint {
                                        var row = try await tx.get(1, from: Self.rows)!
                                        await Task.yield()
                                        row.value += 1
                                        try await tx.update(row, in: Self.rows)
                                    }
                                    return
                                } catch let error as MeridianError where error.code == .savepointConflict {}
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(try await values(db)[1] == 8)
        }
    }

    @Test func innerSavepointsEndWithTheOuterOne() async throws {
        try await withDatabase { db in
            try await db.write { tx in
                try? await tx.savepoint {
                    try await tx.update(Row(id: 1, value: 1), in: Self.rows)
                    try await tx.savepoint { try await tx.update(Row(id: 2, value: 2), in: Self.rows) }
                    #expect(try await tx.get(2, from: Self.rows)?.value == 2)
                    throw GivenUp()
                }
                #expect(try await tx.scan(Self.rows).map(\.value) == [0, 0, 0, 0])
                try await tx.savepoint {
                    try? await tx.savepoint {
                        try await tx.update(Row(id: 3, value: 3), in: Self.rows)
                        throw GivenUp()
                    }
                    try await tx.update(Row(id: 4, value: 4), in: Self.rows)
                }
            }
            #expect(try await values(db) == [1: 0, 2: 0, 3: 0, 4: 4])
        }
    }

    /// Another transaction in the closure of the first has savepoints of its own.
    @Test func aTransactionInsideOfASavepointOfAnotherIsItsOwn() async throws {
        try await withDatabase { db in
            try await db.write { outer in
                try? await outer.savepoint {
                    try await outer.update(Row(id: 1, value: 1), in: Self.rows)
                    try await db.write { inner in
                        try await inner.update(Row(id: 2, value: 2), in: Self.rows)
                        try await inner.savepoint { try await outer.update(Row(id: 3, value: 3), in: Self.rows) }
                    }
                    throw GivenUp()
                }
            }
            #expect(try await values(db) == [1: 0, 2: 2, 3: 0, 4: 0])
        }
    }

    @Test func aTaskThatOutlivesItsSavepointIsRefused() async throws {
        try await withDatabase { db in
            let late = try await db.transact { tx in
                let ended = Gate()
                let task = try await tx.savepoint {
                    Task {
                        await ended.wait()
                        try await tx.upsert(Row(id: 9, value: 9), into: Self.rows)
                    }
                }
                ended.open()
                return await task.result
            }.result
            #expect(throws: MeridianError.self) { try late.get() }
            #expect(try await values(db)[9] == nil)
        }
    }

    @Test func manyChildTasksMayUseATransactionAtOnce() async throws {
        try await withDatabase([Self.east, "eu-west-1"]) { db in
            try await db.write { try await $0.insert(Row(id: 0, value: 0), into: Self.copies) }
            try await db.write(deadline: .seconds(30)) { tx in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for id in 100..<160 {
                        group.addTask {
                            #expect(try await tx.get(id, from: Self.rows) == nil)
                            try await tx.insert(Row(id: id, value: id), into: Self.rows)
                            let region = id % 2 == 0 ? "us-east-1" : "eu-west-1"
                            let part = { @Sendable in
                                try await tx.insert(Homed(id: id, region: region, value: id), into: Self.homed)
                                if id % 3 == 0 { throw GivenUp() }
                            }
                            do { try await tx.savepoint(part) } catch is GivenUp {}
                            try await tx.insert(Row(id: id, value: 1), into: Self.copies)
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let kept = (100..<160).filter { $0 % 3 != 0 }
            #expect(try await db.read { try await $0.scan(Self.homed).map(\.id).sorted() } == kept)
            #expect(try await values(db).keys.filter { $0 >= 100 }.sorted() == Array(100..<160))
            #expect(try await db.read { try await $0.scan(Self.copies).count } == 61)
        }
    }

    @Test func aRowThatTwoChildTasksMoveIsThereOnce() async throws {
        try await withDatabase([Self.east, "eu-west-1", "ap-northeast-1"]) { db in
            for round in 0..<5 {
                try await db.write {
                    try await $0.upsert(Homed(id: round, region: "us-east-1", value: 0), into: Self.homed)
                }
                try await db.write { tx in
                    async let a: Void = tx.update(Homed(id: round, region: "eu-west-1", value: 1), in: Self.homed)
                    async let b: Void = tx.update(Homed(id: round, region: "ap-northeast-1", value: 2), in: Self.homed)
                    _ = try await (a, b)
                }
                let found = try await db.read { try await $0.scan(Self.homed).filter { $0.id == round } }
                #expect(found.count == 1)
            }
        }
    }

    @Test func aRowMovesThereAndBackInOneClosure() async throws {
        try await withDatabase([Self.east, "eu-west-1"]) { db in
            try await db.write { try await $0.insert(Homed(id: 1, region: "us-east-1", value: 0), into: Self.homed) }
            try await db.write { tx in
                try await tx.update(Homed(id: 1, region: "eu-west-1", value: 1), in: Self.homed)
                try await tx.update(Homed(id: 1, region: "us-east-1", value: 2), in: Self.homed)
            }
            let rows = try await db.read { try await $0.scan(Self.homed) }
            #expect(rows == [Homed(id: 1, region: "us-east-1", value: 2)])
        }
    }
}
