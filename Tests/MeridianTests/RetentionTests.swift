import Meridian
import Testing

/// What a closure has read and then outlasted: nobody can vouch for it any more.
@Suite(.serialized) struct RetentionTests {
    struct Item: Codable, Sendable, Equatable {
        var id: Int
        var value: Int
    }

    private static let items = Table<Item>("items", key: \.id, locality: .regional(in: "local"))

    /// A row that the closure has seen was deleted by another one, and the deletion is collected before the commit.
    @Test(arguments: [false, true]) func aCommitThatRestsOnACollectedRowRunsAgain(_ scans: Bool) async throws {
        let cluster = try await EmbeddedCluster(
            topology: .local(nodes: 3), configuration: ClusterConfiguration(storage: .memory, retention: .seconds(2)))
        let db = cluster.database(in: "local")
        try await db.write { tx in
            for id in 1...3 { try await tx.insert(Item(id: id, value: 0), into: Self.items) }
        }
        let runs = Counter()
        try await db.write(deadline: .seconds(60)) { tx in
            let run = await runs.next()
            let isThere =
                scans
                ? try await tx.scan(Self.items).contains { $0.id == 1 }
                : try await tx.get(1, from: Self.items) != nil
            if run == 1 {
                let deletion = try await db.write { try await $0.delete(1, from: Self.items) }
                try await Self.awaitCollection(of: deletion.timestamp, db)
            }
            if isThere { try await tx.upsert(Item(id: 2, value: 777), into: Self.items) }
        }
        #expect(await runs.count >= 2)
        let rows = try await db.read { try await $0.scan(Self.items) }.filter { $0.id < 10 }
        #expect(rows == [Item(id: 2, value: 0), Item(id: 3, value: 0)])
        await cluster.shutdown()
    }

    /// Until the range refuses reads as of a time, and a round of the state thread more.
    private static func awaitCollection(of timestamp: Timestamp, _ db: Database) async throws {
        for id in 10..<200 {
            try await db.write { try await $0.upsert(Item(id: id, value: 1), into: Self.items) }
            try await Task.sleep(for: .milliseconds(100))
            do {
                _ = try await db.read(.at(timestamp)) { try await $0.get(1, from: Self.items) }
            } catch let error as MeridianError where error.code == .readTooOld {
                try await Task.sleep(for: .seconds(2))
                return
            }
        }
        Issue.record("the threshold never passed \(timestamp)")
    }

    private actor Counter {
        private(set) var count = 0

        func next() -> Int {
            count += 1
            return count
        }
    }
}
