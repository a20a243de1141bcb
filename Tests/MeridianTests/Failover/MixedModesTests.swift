import MeridianCore
import Testing

@testable import Meridian

/// Rows of tables with different modes and goals in one closure, while the home of one of them is lost.
@Suite(.serialized, .timeLimit(.minutes(3))) struct MixedModesTests {
    struct Row: Codable, Sendable, Equatable { var id: Int; var value: Int }

    static let regions: [Region] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"]
    static let east: Region = "us-east-1"
    static let west: Region = "eu-west-1"
    /// Where the weak table has its copies.
    static let copies: [Region] = ["us-east-2", "us-west-2"]

    private static let weak = Table<Row>("weak", key: \.id, locality: .regional(in: east), mode: .asynchronous)
    private static let strong = Table<Row>("strong", key: \.id, locality: .regional(in: west), survival: .region)

    private func withCluster(
        _ regions: [Region] = regions, _ body: (EmbeddedCluster) async throws -> Void
    ) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .aws(regions), configuration: ClusterConfiguration(storage: .temporary, simulatesLatency: false))
        do {
            try await body(cluster)
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
    }

    private func kill(_ region: Region, of cluster: EmbeddedCluster) async {
        for node in cluster.topology.nodes(in: region) { await cluster.kill(node.id) }
    }

    /// The copies of the weak table lag when its home is lost, so its part is gone, and nothing tells of it.
    @Test(arguments: [false, true])
    func aCommitOfATableThatSurvivesARegionOutlivesAnAsynchronousTablesHome(isWrittenFirst: Bool) async throws {
        try await withCluster { cluster in
            let db = cluster.database(in: Self.east)
            for table in [Self.weak, Self.strong] {
                try await db.create(table)
                try await db.write { try await $0.upsert(Row(id: 0, value: 0), into: table) }
            }
            try await Task.sleep(for: .milliseconds(500))
            for region in Self.copies { cluster.isolate(region) }
            try await db.write { tx in
                for table in isWrittenFirst ? [Self.strong, Self.weak] : [Self.weak, Self.strong] {
                    try await tx.upsert(Row(id: 1, value: 42), into: table)
                }
            }
            await kill(Self.east, of: cluster)
            for region in Self.copies { cluster.heal(region) }
            let far = cluster.database(in: "eu-central-1")
            try await far.failOver(Self.weak, from: Self.east, to: Self.copies[0])
            let row = try await far.read(deadline: .seconds(20)) { try await $0.get(1, from: Self.strong) }
            #expect(row?.value == 42)
        }
    }

    // MARK: Giving up

    private static let ledger = Table<Row>("ledger", key: \.id, locality: .regional(in: east))
    private static let carts = Table<Row>("carts", key: \.id, convergence: .lastWriterWins)
    private static let archive = Table<Row>("archive", key: \.id, locality: .regional(in: west))

    /// Transactions whose other range is lost in the middle of them: some are prepared, and nobody ends them.
    private func strand(
        _ table: Table<Row>, with other: Table<Row>, through region: Region, _ cluster: EmbeddedCluster
    ) async throws {
        let db = cluster.database(in: region)
        try await cluster.database(in: Self.east).write { tx in
            for id in 0..<40 { try await tx.insert(Row(id: id, value: 0), into: table) }
        }
        try await db.create(other)
        let tasks = (0..<40).map { id in
            Task {
                try await db.write(deadline: .seconds(5)) { tx in
                    try await tx.upsert(Row(id: id, value: 1), into: other)
                    try await tx.upsert(Row(id: id, value: 1), into: table)
                }
            }
        }
        try await Task.sleep(for: .milliseconds(15))
        await kill(region, of: cluster)
        for task in tasks { _ = await task.result }
    }

    private func readable(_ table: Table<Row>, _ db: Database) async -> Int {
        await withTaskGroup(of: Bool.self) { group in
            for id in 0..<40 {
                group.addTask {
                    (try? await db.read(deadline: .seconds(4)) { try await $0.get(id, from: table) }) != nil
                }
            }
            var count = 0
            for await isThere in group where isThere { count += 1 }
            return count
        }
    }

    @Test func aCopyThatIsRetiredHoldsNobodyUp() async throws {
        try await withCluster([Self.east, Self.west]) { cluster in
            try await strand(Self.ledger, with: Self.carts, through: Self.west, cluster)
            let db = cluster.database(in: Self.east)
            try await db.retireCopy(of: Self.carts, in: Self.west)
            #expect(await readable(Self.ledger, db) == 40)
            #expect(try await db.heldTransactions().transactions.isEmpty)
        }
    }

    @Test func aHomeThatIsGivenUpHoldsNobodyUpAndServesNobody() async throws {
        try await withCluster([Self.east, Self.west, "us-east-2"]) { cluster in
            try await strand(Self.ledger, with: Self.archive, through: Self.west, cluster)
            let db = cluster.database(in: Self.east)
            let undone = try await db.giveUp(Self.archive, in: Self.west)
            #expect(await readable(Self.ledger, db) == 40)
            let held = try await db.heldTransactions()
            #expect(held.transactions.isEmpty)
            #expect(held.unanswered.isEmpty, "what was given up is not asked")
            #expect(try await db.undoneCommits() == undone)
            for commit in undone {
                #expect(Set(commit.participants.map(\.table)) == ["ledger", "archive"])
                #expect(commit.participants.filter(\.isGivenUp).map(\.table) == ["archive"])
            }
            let error = await #expect(throws: MeridianError.self) {
                try await db.write { try await $0.upsert(Row(id: 1, value: 2), into: Self.archive) }
            }
            #expect(error?.code == .unavailable)
            #expect(error?.commitOutcome == .notCommitted)
            for node in cluster.topology.nodes(in: Self.west) { try await cluster.start(node.id) }
            await #expect(throws: MeridianError.self, "it cannot be taken back") {
                try await cluster.database(in: Self.west).read(deadline: .seconds(2)) {
                    try await $0.get(1, from: Self.archive)
                }
            }
            try await db.giveUp(Self.archive, in: Self.west)
        }
    }

    @Test func anOperatorSeesWhatIsHeldAndByWhom() async throws {
        try await withCluster([Self.east, Self.west, "us-east-2"]) { cluster in
            let (db, far) = (cluster.database(in: Self.east), cluster.database(in: Self.west))
            try await db.create(Self.ledger)
            try await far.create(Self.archive)
            cluster.isolate(Self.west)
            for node in cluster.topology.nodes(in: Self.west).dropFirst() { await cluster.kill(node.id) }
            let task = Task {
                try await db.write(deadline: .seconds(4)) { tx in
                    try await tx.upsert(Row(id: 1, value: 1), into: Self.ledger)
                    try await tx.upsert(Row(id: 1, value: 1), into: Self.archive)
                }
            }
            try await Task.sleep(for: .milliseconds(1_000))
            let held = try await db.heldTransactions()
            let transaction = try #require(held.transactions.first)
            #expect(transaction.state == .prepared)
            #expect(transaction.holder.table == "ledger")
            #expect(transaction.anchor.table == "ledger")
            #expect(transaction.participants.map(\.table) == ["ledger", "archive"])
            #expect(transaction.age > .milliseconds(200))
            #expect(held.unanswered.map(\.table) == ["archive"])
            _ = await task.result
            cluster.heal(Self.west)
        }
    }
}
