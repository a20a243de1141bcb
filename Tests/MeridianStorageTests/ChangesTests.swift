import GRDB
import MeridianCore
import Synchronization
import Testing

@testable import MeridianStorage

/// Changed rows by time, over both stores and against a list of all versions.
@Suite struct ChangesTests {
    private let range = RangeID(1)

    /// Two tables with rows and outboxes, keys too short for an index, and everything.
    private static let spans: [KeySpan] =
        [1, 2].flatMap { table in [0, 3].map { KeySpan(prefix: [0, 0, 0, table, $0]) } } + [.all]

    /// A naive picture: every version ever written, and what erasures took back.
    private struct Model {
        var versions: [Key: [Version]] = [:]

        mutating func apply(_ mutations: [Mutation], at timestamp: Timestamp) {
            for mutation in mutations {
                versions[mutation.key, default: []].append(Version(timestamp: timestamp, value: mutation.value))
            }
        }

        func changes(_ span: KeySpan, _ since: Timestamp, _ timestamp: Timestamp) -> [KeyedVersion] {
            versions.compactMap { key, chain -> KeyedVersion? in
                guard span.contains(key), let newest = chain.last(where: { $0.timestamp <= timestamp }) else {
                    return nil
                }
                guard newest.timestamp > since, newest.value != nil else { return nil }
                return KeyedVersion(key: key, version: newest)
            }
            .sorted { ($0.version.timestamp, $0.key) < ($1.version.timestamp, $1.key) }
        }
    }

    private func key(_ random: inout SplitMix64) -> Key {
        if random.below(20) == 0 { return Key([0, 0, 0, 3].prefix(Int(random.below(5))).map { UInt8($0) }) }
        let index: UInt8 = random.below(3) == 0 ? 0 : 3
        return Key([0, 0, 0, UInt8(1 + random.below(2)), index, UInt8(random.below(12))])
    }

    private func span(_ random: inout SplitMix64) -> KeySpan {
        let whole = Self.spans[Int(random.below(UInt64(Self.spans.count)))]
        guard random.below(3) == 0 else { return whole }
        let bounds = [key(&random), key(&random)].sorted()
        return KeySpan(lower: bounds[0], upper: random.below(3) == 0 ? nil : bounds[1])
    }

    private func apply(
        _ store: any StateStore, _ index: UInt64, at timestamp: Timestamp, _ mutations: [Mutation],
        step: CommitStep? = nil
    ) throws {
        let command = Command(
            request: RequestID(high: 1, low: index), timestamp: timestamp, closed: .zero, mutations: mutations,
            step: step)
        try store.apply([
            ApplyBatch(
                range: range, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                state: AppliedState(index))
        ])
    }

    /// All pages, and whether each but the last is as long as it may be and none splits a timestamp.
    private func pages(
        _ reader: any StateReader, _ span: KeySpan, since: Timestamp, at timestamp: Timestamp, limit: Int,
        byteLimit: Int
    ) throws -> [KeyedVersion] {
        var all: [KeyedVersion] = []
        var since = since
        while true {
            let page = try reader.changes(in: span, since: since, at: timestamp, limit: limit, byteLimit: byteLimit)
            all += page.rows
            guard let last = page.rows.last?.version.timestamp else {
                #expect(page.resume == nil)
                return all
            }
            // Without its last timestamp's rows a page was not full yet.
            let before = page.rows.filter { $0.version.timestamp < last }
            #expect(before.count < limit && before.reduce(0) { $0 + $1.version.value!.count } < byteLimit)
            guard page.resume != nil else { return all }
            #expect(page.resume == .after(last))
            let bytes = page.rows.reduce(0) { $0 + $1.version.value!.count }
            #expect(page.rows.count >= limit || bytes >= byteLimit, "a page ended early")
            since = last
        }
    }

    /// What is in the file's table of changes, and what should be.
    private func expectTableOfChanges(_ store: SQLiteStateStore) throws {
        try store.file.withLock { file in
            try file.connection.access("test") { database in
                let noted = "SELECT hex(key) || timestamp FROM changes ORDER BY 1"
                let versions = "SELECT hex(key) || timestamp FROM versions WHERE substr(key, 5, 1) = x'03' ORDER BY 1"
                let found = try String.fetchAll(database, sql: noted)
                let expected = try String.fetchAll(database, sql: versions)
                #expect(found == expected)
            }
        }
    }

    @Test(arguments: [Adapter.sqlite, .memory], 1...UInt64(15))
    func agreesWithAModel(_ adapter: Adapter, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let world = try StoreWorld(adapter)
        var model = Model()
        var (index, time, floor) = (UInt64(0), Int64(0), Int64(0))
        for round in 0..<60 {
            for _ in 0...random.below(4) {
                index += 1
                // Commits of different ranges' keys can have one timestamp, and keys of one commit always have.
                time += 1 + Int64(random.below(3))
                let keys = Set((0...random.below(5)).map { _ in key(&random) }).sorted()
                let mutations = keys.map { key in
                    Mutation(
                        key: key,
                        value: random.below(5) == 0 ? nil : [UInt8](repeating: 1, count: Int(random.below(9))))
                }
                try apply(world.state, index, at: Timestamp(time), mutations)
                model.apply(mutations, at: Timestamp(time))
            }
            switch random.below(8) {
            case 0, 1: _ = try world.state.checkpoint()
            case 2:
                floor = max(floor, Int64(random.below(UInt64(time))))
                guard index > 0 else { continue }
                try world.raiseThreshold(to: floor)
                index += 1
                try world.collect()
            case 3 where round % 3 == 0:
                _ = try world.state.checkpoint()
                try world.restart(crash: random.below(2) == 0)
                _ = try world.state.load()
            default: break
            }
            let reader = try world.state.makeReader()
            for _ in 0..<6 {
                let at = floor + Int64(random.below(UInt64(time - floor + 2)))
                let since = Int64(random.below(UInt64(at + 1)))
                let span = span(&random)
                let found = try pages(
                    reader, span, since: Timestamp(since), at: Timestamp(at), limit: 1 + Int(random.below(9)),
                    byteLimit: random.below(2) == 0 ? .max : 1 + Int(random.below(30)))
                #expect(found == model.changes(span, Timestamp(since), Timestamp(at)), "seed \(seed)")
            }
            if let store = world.state as? SQLiteStateStore { try expectTableOfChanges(store) }
        }
    }

    @Test func theTableOfChangesFollowsErasureSnapshotAndRemoval() throws {
        let (from, to) = (try StoreWorld(.sqlite), try StoreWorld(.sqlite))
        let source = try #require(from.state as? SQLiteStateStore)
        let target = try #require(to.state as? SQLiteStateStore)
        let outbox = KeySpan(prefix: [0, 0, 0, 1, 3])
        let keys = (1...3).map { Key([0, 0, 0, 1, 3, $0]) }
        func changed(_ store: SQLiteStateStore) throws -> [Key] {
            try expectTableOfChanges(store)
            return try store.makeReader().changes(
                in: outbox, since: .zero, at: .distantFuture, limit: 9, byteLimit: 99
            ).rows.map(\.key)
        }
        for index in 1...UInt64(3) {
            try apply(
                source, index, at: Timestamp(Int64(index) * 10), keys.map { Mutation(key: $0, value: [UInt8(index)]) })
        }
        _ = try source.checkpoint()
        let erasure = CommitStep(attempt: 0, kind: .erase)
        let mark = Mutation(key: Key([]), value: nil)
        try apply(source, 4, at: Timestamp(40), [mark, Mutation(key: keys[1], value: nil)], step: erasure)
        #expect(try changed(source) == [keys[0], keys[2]])

        // What the target has of the range goes.
        try apply(target, 1, at: Timestamp(10), [Mutation(key: keys[1], value: [1])])
        _ = try target.checkpoint()
        let snapshot = try source.openSnapshot(of: range, span: .all)
        let writer = try target.receiveSnapshot(of: range, span: .all, state: snapshot.state)
        while let chunk = try snapshot.chunk(at: writer.nextOffset, byteLimit: 64) {
            try writer.append(chunk)
            if chunk.isLast { break }
        }
        #expect(try writer.commit() == .installed)
        snapshot.close()
        #expect(try changed(target) == [keys[0], keys[2]])
        try target.remove(range, span: .all)
        #expect(try changed(target).isEmpty)
        #expect(try changed(source) == [keys[0], keys[2]])
    }

    @Test func theFileIsReadByTime() throws {
        let world = try StoreWorld(.sqlite)
        let store = try #require(world.state as? SQLiteStateStore)
        let plan = try store.file.withLock { file in
            try file.connection.access("test") { database in
                try Row.fetchAll(
                    database, sql: "EXPLAIN QUERY PLAN " + ChangesReader.query, arguments: [1, 2]
                ).map { $0["detail"] as String }
            }
        }
        #expect(plan == ["SEARCH changes USING PRIMARY KEY (timestamp>? AND timestamp<?)"])
    }

    private func change(_ store: SQLiteStateStore, _ sql: String) throws {
        try store.file.withLock { file in try file.connection.access("test") { try $0.execute(sql: sql) } }
    }

    @Test func aDamagedValueIsFoundOut() throws {
        let world = try StoreWorld(.sqlite)
        let store = try #require(world.state as? SQLiteStateStore)
        let key = Key([0, 0, 0, 1, 3, 1])
        try apply(store, 1, at: Timestamp(10), [Mutation(key: key, value: [1])])
        _ = try store.checkpoint()
        let read = {
            _ = try store.makeReader().changes(
                in: KeySpan(prefix: [0, 0, 0, 1, 3]), since: .zero, at: .distantFuture, limit: 9, byteLimit: 99)
        }
        #expect(code(read) == nil)
        try change(store, "UPDATE versions SET value = x'02'")
        #expect(code(read) == .corruption)
        try change(store, "DELETE FROM versions")
        #expect(code(read) == .corruption, "a change without its version")
    }
}
