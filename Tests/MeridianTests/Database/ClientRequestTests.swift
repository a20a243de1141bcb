import Meridian
import MeridianCore
import Synchronization
import Testing

/// What a client hears of its request: once and the same, whatever its closure finds when it runs again.
@Suite struct ClientRequestTests {
    struct Row: Codable, Sendable, Equatable { var id: Int; var value: Int }
    struct Homed: Codable, Sendable, Equatable { var id: Int; var region: String; var value: Int }
    struct Count: Codable, Sendable, Equatable { var id: Int; var hits: Int }

    static let east: Region = "us-east-1"
    static let west: Region = "eu-west-1"
    static let plain = Table<Row>("plain", key: \.id, locality: .regional(in: "us-east-1"))
    static let far = Table<Row>("far", key: \.id, locality: .regional(in: "eu-west-1"))
    static let homed = Table<Homed>("homed", key: \.id, locality: .regionalByRow(\.region))
    static let counts = Table<Count>("counts", key: \.id, convergence: .columns(.counter(\.hits)))

    private func withCluster(_ body: (EmbeddedCluster) async throws -> Void) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws([Self.east, Self.west], nodesPerRegion: 1),
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false))
        do {
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private struct NoError: Error {}

    private func error(_ body: () async throws -> Void) async throws -> MeridianError {
        do {
            try await body()
        } catch let error as MeridianError {
            return error
        }
        throw NoError()
    }

    // MARK: Ids

    private static func newID() -> RequestID {
        RequestID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }

    /// The second call's closure runs where the first one has happened: it finds the row, or none, or does nothing.
    @Test(arguments: ["insert", "delete", "insert active", "delete active", "delete elsewhere", "look first", "two"])
    func aRepeatedIdHasTheFirstOutcomeThoughItsClosureFindsItDone(what: String) async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.write { tx in
                try await tx.insert(Row(id: 1, value: 0), into: Self.plain)
                try await tx.insert(Homed(id: 1, region: "eu-west-1", value: 0), into: Self.homed)
                try await tx.insert(Count(id: 1, hits: 0), into: Self.counts)
            }
            let id = Self.newID()
            @Sendable func body(_ tx: Transaction) async throws -> Int? {
                switch what {
                case "insert": try await tx.insert(Row(id: 2, value: 0), into: Self.plain)
                case "delete": try await tx.delete(1, from: Self.plain)
                case "insert active": try await tx.insert(Count(id: 2, hits: 1), into: Self.counts)
                case "delete active": try await tx.delete(1, from: Self.counts)
                case "delete elsewhere": try await tx.delete(1, from: Self.homed)
                case "look first":
                    let found = try await tx.get(7, from: Self.plain)
                    guard found == nil else { return found?.value }
                    try await tx.insert(Row(id: 7, value: 9), into: Self.plain)
                default:
                    let row = try await tx.get(1, from: Self.plain)
                    try await tx.insert(Row(id: row!.value + 100, value: 0), into: Self.far)
                    try await tx.update(Row(id: 1, value: row!.value + 1), in: Self.plain)
                    return row!.value
                }
                return nil
            }
            let first = try await db.transact(id: id) { try await body($0) }
            let second = try await db.transact(id: id) { try await body($0) }
            #expect(second.receipt.timestamp == first.receipt.timestamp)
            #expect(second.result == first.result, "the closure finds what it found then")
        }
    }

    // MARK: One moment

    /// Whoever raises a counter and inserts a row under its number can meet nobody else's row: no order of the
    /// transactions has one.
    @Test func anInsertUnderADrawnNumberNeverFindsTheKeyTaken() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.write { try await $0.insert(Row(id: 0, value: 0), into: Self.far) }
            try await db.create(Self.plain)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        for _ in 0..<6 {
                            try await db.write(deadline: .seconds(60)) { tx in
                                var counter = try await tx.get(0, from: Self.far)!
                                counter.value += 1
                                try await tx.insert(Row(id: counter.value, value: 0), into: Self.plain)
                                try await tx.update(counter, in: Self.far)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let numbers = try await db.read { try await $0.scan(Self.plain).map(\.id) }
            #expect(numbers == Array(1...24))
        }
    }

    /// The same of rows that are taken away: each number's row is there for whoever draws it.
    @Test func aDeletionUnderADrawnNumberAlwaysFindsTheRow() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.write { tx in
                try await tx.insert(Row(id: 0, value: 0), into: Self.far)
                for id in 1...24 { try await tx.insert(Row(id: id, value: 0), into: Self.plain) }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        for _ in 0..<6 {
                            try await db.write(deadline: .seconds(60)) { tx in
                                var counter = try await tx.get(0, from: Self.far)!
                                counter.value += 1
                                try await tx.delete(counter.value, from: Self.plain)
                                try await tx.update(counter, in: Self.far)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await db.read { try await $0.scan(Self.plain) }.isEmpty)
        }
    }

    /// An error that is true stays one.
    @Test func aKeyThatIsTakenIsRefusedAlsoAcrossRanges() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.write { tx in
                try await tx.insert(Row(id: 0, value: 4), into: Self.far)
                try await tx.insert(Row(id: 5, value: 0), into: Self.plain)
            }
            let refused = try await error {
                try await db.write { tx in
                    let counter = try await tx.get(0, from: Self.far)!
                    try await tx.insert(Row(id: counter.value + 1, value: 0), into: Self.plain)
                }
            }
            #expect(refused.code == .duplicateKey && refused.commitOutcome == .notCommitted)
            let missing = try await error {
                try await db.write { tx in
                    let counter = try await tx.get(0, from: Self.far)!
                    try await tx.update(Row(id: counter.value + 2, value: 0), in: Self.plain)
                }
            }
            #expect(missing.code == .rowNotFound && missing.commitOutcome == .notCommitted)
        }
    }

    @Test func aRowMovesThereAndBackInOneClosure() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.write { try await $0.insert(Homed(id: 1, region: "us-east-1", value: 0), into: Self.homed) }
            try await db.write { tx in
                try await tx.update(Homed(id: 1, region: "eu-west-1", value: 1), in: Self.homed)
                #expect(try await tx.get(1, from: Self.homed)?.region == "eu-west-1")
                try await tx.update(Homed(id: 1, region: "us-east-1", value: 2), in: Self.homed)
                #expect(try await tx.get(1, from: Self.homed)?.region == "us-east-1")
            }
            try await db.write { tx in
                try await tx.delete(1, from: Self.homed)
                try await tx.insert(Homed(id: 1, region: "eu-west-1", value: 3), into: Self.homed)
                try await tx.update(Homed(id: 1, region: "us-east-1", value: 4), in: Self.homed)
            }
            let rows = try await db.read { try await $0.scan(Self.homed) }
            #expect(rows == [Homed(id: 1, region: "us-east-1", value: 4)])
            let gone = try await error {
                try await db.write { tx in
                    try await tx.delete(1, from: Self.homed)
                    try await tx.update(Homed(id: 1, region: "us-east-1", value: 5), in: Self.homed)
                }
            }
            #expect(gone.code == .rowNotFound)
        }
    }

    // MARK: The end of patience

    @Test(arguments: [false, true]) func afterTheDeadlineNothingIsSent(isWide: Bool) async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.create(Self.plain)
            try await db.create(Self.far)
            let late = try await error {
                try await db.write(deadline: .milliseconds(300)) { tx in
                    try await tx.upsert(Row(id: 1, value: 1), into: Self.plain)
                    if isWide { try await tx.upsert(Row(id: 1, value: 1), into: Self.far) }
                    try await Task.sleep(for: .milliseconds(500))
                }
            }
            #expect(late.code == .deadlineExceeded)
            #expect(late.commitOutcome == .notCommitted)
            try await Task.sleep(for: .milliseconds(100))
            #expect(try await db.read { try await $0.scan(Self.plain) }.isEmpty)
        }
    }

    @Test func aCancelledCallerHearsThatNothingWasCommittedBeforeItIsSent() async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            try await db.write { try await $0.insert(Row(id: 1, value: 0), into: Self.plain) }
            let runs = Mutex(0)
            let task = Task {
                try await db.write(deadline: .seconds(60)) { tx in
                    runs.withLock { $0 += 1 }
                    let row = try await tx.get(1, from: Self.plain)!
                    // Somebody else comes first each time.
                    let other = Task { try await db.write { try await $0.upsert(row, into: Self.plain) } }
                    _ = await other.result
                    try await tx.update(Row(id: 1, value: -1), in: Self.plain)
                }
            }
            while runs.withLock({ $0 }) < 2 { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            let cancelled = try await error { _ = try await task.value }
            #expect(cancelled.code == .cancelled)
            #expect(cancelled.commitOutcome == .notCommitted)
            #expect(try await db.read { try await $0.get(1, from: Self.plain) }?.value == 0)
        }
    }

    @Test func aCancelledCallerDoesNotWaitForACommitThatMayHappen() async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws([Self.east], nodesPerRegion: 3),
            configuration: ClusterConfiguration(storage: .memory, simulatesLatency: false))
        let db = cluster.database(in: Self.east)
        try await db.write { try await $0.insert(Row(id: 1, value: 0), into: Self.plain) }
        // Nobody has a quorum.
        for node in cluster.topology.nodes { cluster.isolate(node.id) }
        let started = ContinuousClock.now
        let task = Task {
            try await db.write(deadline: .seconds(60)) { try await $0.upsert(Row(id: 1, value: 1), into: Self.plain) }
        }
        try await Task.sleep(for: .milliseconds(300))
        task.cancel()
        let cancelled = try await error { _ = try await task.value }
        #expect(cancelled.code == .cancelled)
        #expect(cancelled.commitOutcome == .unknown)
        #expect(ContinuousClock.now - started < .seconds(30))
        for node in cluster.topology.nodes { cluster.heal(node.id) }
        await cluster.shutdown()
    }
}
