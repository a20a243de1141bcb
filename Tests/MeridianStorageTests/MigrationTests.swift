import Foundation
import GRDB
import MeridianCore
import Testing

@testable import MeridianStorage

/// Files that an earlier Meridian wrote.
@Suite struct MigrationTests {
    private let directory = TemporaryDirectory()
    private let a = RangeID(1)

    /// A closed directory as the version before transactions of several ranges left it: log 2, state 1.
    private func prepareFormerFormats() throws -> (entries: [Entry], state: AppliedState) {
        let stores = try SQLiteStores.open(directory)
        let entries = [Entry].commands(1...3)
        try stores.log.write([LogWrite(a, entries: entries)])
        let state = AppliedState(2, term: 1, closed: 9)
        let command = Command(
            request: RequestID(high: 3, low: 3), timestamp: Timestamp(10), closed: Timestamp(9),
            mutations: [Mutation(key: Key("k"), value: [7])])
        try stores.state.apply([
            ApplyBatch(
                range: a, commands: [IndexedCommand(index: LogIndex(2), command: command)], state: state)
        ])
        try stores.close()
        try change("log.sqlite") { database in
            for column in ["floor_term", "floor_index", "departing"] {
                try database.execute(sql: "ALTER TABLE groups DROP COLUMN \(column)")
            }
            try database.execute(sql: "UPDATE meta SET value = '2' WHERE name = 'format'")
        }
        try change("state.sqlite") { database in
            try database.execute(
                sql: """
                    ALTER TABLE ranges RENAME TO later;
                    CREATE TABLE ranges(range_id INTEGER PRIMARY KEY, term INTEGER NOT NULL, \
                    applied INTEGER NOT NULL, closed INTEGER NOT NULL, membership BLOB NOT NULL, \
                    checksum INTEGER NOT NULL);
                    INSERT INTO ranges SELECT range_id, term, applied, closed, membership, 0 FROM later;
                    DROP TABLE later;
                    DROP TABLE changes;
                    UPDATE meta SET value = '1' WHERE name = 'format'
                    """)
            let membership = try #require(try Data.fetchOne(database, sql: "SELECT membership FROM ranges"))
            try database.execute(
                sql: "UPDATE ranges SET checksum = ?", arguments: [Int64(formerChecksum(state, [UInt8](membership)))])
        }
        return (entries, state)
    }

    /// Of a range's row, as of state format 1.
    private func formerChecksum(_ state: AppliedState, _ membership: [UInt8]) -> UInt32 {
        var checksum = Checksum()
        checksum.combine(a.rawValue)
        checksum.combine(state.position.term.rawValue)
        checksum.combine(state.position.index.rawValue)
        checksum.combine(UInt64(bitPattern: state.closed.rawValue))
        checksum.combine(membership)
        return checksum.value
    }

    private func change(_ file: String, _ body: (Database) throws -> Void) throws {
        let queue = try DatabaseQueue(path: directory.path + "/" + file)
        try queue.write(body)
        try queue.close()
    }

    private func format(_ file: String) throws -> String? {
        let queue = try DatabaseQueue(path: directory.path + "/" + file)
        let format = try queue.read {
            try String.fetchOne($0, sql: "SELECT value FROM meta WHERE name = 'format'")
        }
        try queue.close()
        return format
    }

    @Test func whatWasWrittenIsStillThere() throws {
        let (entries, state) = try prepareFormerFormats()
        let stores = try SQLiteStores.open(directory)
        #expect(try stores.log.load()[a]?.entries == entries)
        #expect(try stores.state.load()[a] == state)
        let reader = try stores.state.makeReader()
        #expect(try reader.read(Key("k"), at: .distantFuture)?.value == [7])
        #expect(try reader.outcome(of: RequestID(high: 3, low: 3), in: a)?.index == LogIndex(2))
        try stores.close()
    }

    @Test func theFilesHaveThisFormatAfterwards() throws {
        _ = try prepareFormerFormats()
        #expect(try format("log.sqlite") == "2")
        #expect(try format("state.sqlite") == "1")
        try SQLiteStores.open(directory).close()
        #expect(try format("log.sqlite") == "6")
        #expect(try format("state.sqlite") == "4")
    }

    @Test func transactionsCanBeWrittenAfterwards() throws {
        _ = try prepareFormerFormats()
        var random = SplitMix64(seed: 5)
        var next = AppliedState(3, term: 1, closed: 9)
        next.transactions = random.transactionTable()
        let command = Command(
            request: RequestID(high: 4, low: 4), timestamp: Timestamp(11), closed: .zero, mutations: [],
            step: random.step())
        let entry = Entry(term: Term(1), index: LogIndex(4), payload: .command(command))
        var stores = try SQLiteStores.open(directory)
        try stores.log.write([LogWrite(a, entries: [entry])])
        try stores.state.apply([ApplyBatch(range: a, commands: [], state: next)])
        try stores.close()
        stores = try SQLiteStores.open(directory)
        #expect(try stores.log.load()[a]?.entries.last == entry)
        #expect(try stores.state.load()[a] == next)
        try stores.close()
    }

    /// State format 2 had no table of changes. Nothing wrote outboxes then, but a file may hold any key.
    @Test func changesThatWereWrittenBeforeAreFoundByTime() throws {
        let (change, row) = (Key([0, 0, 0, 9, 3, 1]), Key([0, 0, 0, 9, 0, 1]))
        var stores = try SQLiteStores.open(directory)
        for (index, key) in [change, row].enumerated() {
            let index = UInt64(index + 1)
            let command = Command(
                request: RequestID(high: 1, low: index), timestamp: Timestamp(Int64(index) * 10),
                closed: Timestamp(9), mutations: [Mutation(key: key, value: [5])])
            try stores.state.apply([
                ApplyBatch(
                    range: a, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                    state: AppliedState(index))
            ])
        }
        try stores.close()
        try self.change("state.sqlite") {
            try $0.execute(
                sql: """
                    DROP TABLE changes;
                    ALTER TABLE ranges DROP COLUMN upkeep;
                    UPDATE meta SET value = '2' WHERE name = 'format'
                    """)
        }
        stores = try SQLiteStores.open(directory)
        let found = try stores.state.makeReader().changes(
            in: KeySpan(prefix: [0, 0, 0, 9, 3]), since: .zero, at: .distantFuture, limit: 9, byteLimit: 99)
        #expect(found.rows == [KeyedVersion(key: change, version: Version(timestamp: Timestamp(10), value: [5]))])
        try stores.close()
        try self.change("state.sqlite") {
            let keys = try Data.fetchAll($0, sql: "SELECT key FROM changes")
            #expect(keys == [Data(change.bytes)])
        }
    }

    @Test func aDamagedTableIsFoundOut() throws {
        let stores = try SQLiteStores.open(directory)
        try stores.state.apply([ApplyBatch(range: a, commands: [], state: AppliedState(1))])
        try stores.close()
        // A whole table that this range never had: the highest timestamp is 1, and nothing is in it.
        try change("state.sqlite") {
            try $0.execute(sql: "UPDATE ranges SET transactions = x'01000000000000000000000000000000'")
        }
        let reopened = try SQLiteStores.open(directory)
        #expect(code { _ = try reopened.state.load() } == .corruption)
        try reopened.close()
    }
}
