import Foundation
import GRDB
import MeridianCore
import Synchronization
import Testing

@testable import MeridianStorage

/// Damaged bytes, full disks, failed writes.
@Suite struct FaultTests {
    private let directory = TemporaryDirectory()
    private let a = RangeID(1)

    /// A closed directory with entries and versions, all of it in the main files.
    private func prepare() throws -> (log: [RangeID: StoredLog], rows: [KeyedVersion]) {
        let stores = try SQLiteStores.open(directory)
        for first in stride(from: UInt64(1), to: 40, by: 4) {
            try stores.log.write([
                LogWrite(a, entries: .commands(first...(first + 3)), hardState: HardState(term: Term(1))),
                LogWrite(RangeID(2), entries: .commands(first...(first + 3), term: 2)),
            ])
        }
        let commands = (1...40).map { index in
            IndexedCommand(index: LogIndex(UInt64(index)), command: .sample(UInt64(index), mutations: 3))
        }
        try stores.state.apply([ApplyBatch(range: a, commands: commands, state: AppliedState(40))])
        try stores.log.checkpoint()
        _ = try stores.state.checkpoint()
        let found = (try stores.log.load(), try scan(stores.state))
        try stores.close()
        return found
    }

    private func scan(_ store: SQLiteStateStore) throws -> [KeyedVersion] {
        try store.makeReader().scan(.all, at: .distantFuture, limit: .max, byteLimit: .max).rows
    }

    /// Flips bits all over a file; each time the stores either say what is wrong or have everything right.
    private func flip(_ file: String, seed: UInt64, emptying other: String, _ check: (SQLiteStores) throws -> Bool)
        throws
    {
        directory.write([UInt8](repeating: 0, count: directory.bytes(other).count), to: other)
        let whole = directory.bytes(file)
        let before = Dictionary(
            uniqueKeysWithValues: try FileManager.default.contentsOfDirectory(atPath: directory.path)
                .filter { $0 != "LOCK" }.map { ($0, directory.bytes($0)) })
        var random = SplitMix64(seed: seed)
        var detected = 0
        for _ in 0..<120 {
            for (name, bytes) in before { directory.write(bytes, to: name) }
            let offset = Int(random.below(UInt64(whole.count)))
            let bit = UInt8(random.below(8))
            var damaged = whole
            damaged[offset] ^= 1 << bit
            directory.write(damaged, to: file)
            do {
                let stores = try SQLiteStores.open(directory)
                defer { try? stores.close() }
                #expect(try check(stores), "\(file): bit \(bit) of byte \(offset) went unnoticed")
            } catch let error as MeridianError {
                detected += 1
                let expected: [MeridianError.Code] = [
                    .corruption, .notADatabase, .newerFormat, .olderFormat, .wrongCluster,
                ]
                #expect(expected.contains(error.code), "\(file): bit \(bit) of byte \(offset): \(error)")
            }
        }
        #expect(detected > 5)
    }

    @Test(arguments: 1...UInt64(3)) func aFlippedBitOfTheLogIsFoundOut(seed: UInt64) throws {
        let expected = try prepare()
        try flip("log.sqlite", seed: seed, emptying: "log.sqlite-wal") { try $0.log.load() == expected.log }
    }

    @Test(arguments: 1...UInt64(3)) func aFlippedBitOfTheStateIsFoundOut(seed: UInt64) throws {
        let expected = try prepare()
        try flip("state.sqlite", seed: seed, emptying: "state.sqlite-wal") { stores in
            let state = try stores.state.load()
            let rows = try scan(stores.state)
            return state[a]?.position.index == LogIndex(40) && rows == expected.rows
        }
    }

    /// SQLite alone would drop everything from the damaged commit on. Damage to the last commit looks like a crash.
    @Test(arguments: 1...UInt64(3)) func aFlippedBitOfTheWriteAheadLogIsFoundOut(seed: UInt64) throws {
        let stores = try SQLiteStores.open(directory)
        var beforeLast = 0
        for index in UInt64(1)...30 {
            if index == 30 { beforeLast = directory.lastByte("log.sqlite-wal") }
            try stores.log.write([LogWrite(a, entries: .commands(index...index, valueByteCount: 1000))])
        }
        let expected = try stores.log.load()
        let crashed = directory.crashCopy()
        try stores.close()
        let whole = crashed.bytes("log.sqlite-wal")
        let main = crashed.bytes("log.sqlite")
        var random = SplitMix64(seed: seed)
        for _ in 0..<120 {
            let offset = Int(random.below(UInt64(beforeLast)))
            var damaged = whole
            damaged[offset] ^= 1 << UInt8(random.below(8))
            crashed.write(damaged, to: "log.sqlite-wal")
            crashed.write(main, to: "log.sqlite")
            let failure = code {
                let stores = try SQLiteStores.open(crashed)
                defer { try? stores.close() }
                let found = try stores.log.load()
                #expect(found == expected, "byte \(offset) went unnoticed")
            }
            #expect(failure == nil || failure == .corruption)
        }
    }

    /// A commit that a crash tore is dropped, and that is right.
    @Test func aTornLastCommitIsNotDamage() throws {
        let stores = try SQLiteStores.open(directory)
        try stores.log.write([LogWrite(a, entries: .commands(1...1))])
        let end = directory.lastByte("log.sqlite-wal")
        let expected = try stores.log.load()
        try stores.log.write([LogWrite(a, entries: .commands(2...6, valueByteCount: 4000))])
        let crashed = directory.crashCopy()
        try stores.close()
        let whole = crashed.bytes("log.sqlite-wal")
        let main = crashed.bytes("log.sqlite")
        for torn in [end + 1, end + 5000, end + 9000] {
            var bytes = whole
            for offset in torn..<min(torn + 4096, bytes.count) { bytes[offset] = 0 }
            crashed.write(bytes, to: "log.sqlite-wal")
            crashed.write(main, to: "log.sqlite")
            let stores = try SQLiteStores.open(crashed)
            #expect(try stores.log.load() == expected)
            try stores.close()
        }
    }

    @Test(arguments: [0, 1, 40_000, 159_999]) func aWriteAheadLogThatWasRemovedOrCutIsFoundOut(_ byteCount: Int) throws
    {
        let stores = try SQLiteStores.open(directory)
        try stores.log.write([LogWrite(a, entries: .commands(1...1))])
        let crashed = directory.crashCopy()
        try stores.close()
        let kept = Array(crashed.bytes("log.sqlite-wal").prefix(byteCount))
        try FileManager.default.removeItem(atPath: crashed.path + "/log.sqlite-wal")
        if byteCount > 0 { crashed.write(kept, to: "log.sqlite-wal") }
        for _ in 0..<2 { #expect(code { try SQLiteStores.open(crashed).close() } == .corruption) }
    }

    /// SQLite's own tools remove the write-ahead log when they close a file.
    @Test func aClosedFileMayBeLookedAtWithOtherTools() throws {
        let stores = try SQLiteStores.open(directory)
        try stores.log.write([LogWrite(a, entries: .commands(1...1))])
        try stores.close()
        let queue = try DatabaseQueue(path: directory.path + "/log.sqlite")
        #expect(try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM runs") } == 1)
        try queue.close()
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/log.sqlite-wal"))
        let again = try SQLiteStores.open(directory)
        #expect(try again.log.load()[a]?.entries == .commands(1...1))
        try again.close()
    }

    /// A value that was written to a wrong place is whole, and wrong all the same.
    @Test func swappedRowsAreFoundOut() throws {
        _ = try prepare()
        for name in ["state.sqlite", "log.sqlite"] {
            let queue = try DatabaseQueue(path: directory.path + "/" + name)
            try queue.write { database in
                if name == "state.sqlite" {
                    let rows = try Row.fetchAll(
                        database, sql: "SELECT key, value, checksum FROM versions WHERE value IS NOT NULL LIMIT 2")
                    for (from, to) in [(0, 1), (1, 0)] {
                        try database.execute(
                            sql: "UPDATE versions SET value = ?, checksum = ? WHERE key = ?",
                            arguments: [rows[from][1] as Data, rows[from][2] as Int64, rows[to][0] as Data])
                    }
                } else {
                    try database.execute(
                        sql: """
                            UPDATE runs SET entries = (SELECT entries FROM runs r WHERE r.range_id = 2
                            AND r.first_index = runs.first_index) WHERE range_id = 1 AND first_index = 9
                            """)
                }
            }
            try queue.close()
        }
        let stores = try SQLiteStores.open(directory)
        #expect(code { _ = try stores.log.load() } == .corruption)
        #expect(code { _ = try scan(stores.state) } == .corruption)
        try stores.close()
    }

    @Test func aMissingRowOfTheLogIsFoundOut() throws {
        _ = try prepare()
        let queue = try DatabaseQueue(path: directory.path + "/log.sqlite")
        try queue.write { try $0.execute(sql: "DELETE FROM runs WHERE range_id = 1 AND first_index = 9") }
        try queue.close()
        let stores = try SQLiteStores.open(directory)
        do {
            _ = try stores.log.load()
            Issue.record("unnoticed")
        } catch let error as MeridianError {
            #expect(error.code == .corruption)
            #expect(error.message.contains("r1 i9"))
        }
        try stores.close()
    }

    @Test func aMissingCommittedTailOfTheLogIsFoundOut() throws {
        let stores = try SQLiteStores.open(directory)
        try stores.log.write([
            LogWrite(a, entries: .commands(1...4), hardState: HardState(term: Term(1), commit: LogIndex(4)))
        ])
        try stores.close()
        let queue = try DatabaseQueue(path: directory.path + "/log.sqlite")
        try queue.write { try $0.execute(sql: "DELETE FROM runs") }
        try queue.close()
        let damaged = try SQLiteStores.open(directory)
        #expect(code { _ = try damaged.log.load() } == .corruption)
        try damaged.close()
    }

    @Test func aFullDiskLosesNothingAndPasses() throws {
        var options = SQLiteStoreOptions.test
        options.maximumPageCount = 40
        var stores = try SQLiteStores.open(directory, options: options)
        var written: UInt64 = 0
        let failure = code {
            for index in UInt64(1)...100 {
                try stores.log.write([LogWrite(a, entries: .commands(index...index, valueByteCount: 4000))])
                written = index
            }
        }
        #expect(failure == .diskFull)
        #expect(written > 5)
        // Still full, still right, still usable for what fits.
        #expect(
            code {
                try stores.log.write([
                    LogWrite(a, entries: .commands((written + 1)...(written + 1), valueByteCount: 9000))
                ])
            } == .diskFull)
        let expected: [Entry] = .commands(1...written, valueByteCount: 4000)
        #expect(try stores.log.load()[a]?.entries == expected)
        // Space comes back when the log is cut.
        try stores.log.write([LogWrite(a, compact: LogPosition(written, 1))])
        try stores.log.checkpoint()
        let next: [Entry] = .commands((written + 1)...(written + 3), valueByteCount: 4000)
        try stores.log.write([LogWrite(a, entries: next)])
        try stores.close()
        stores = try SQLiteStores.open(directory, options: options)
        #expect(try stores.log.load()[a] == StoredLog(base: LogPosition(written, 1), entries: next))
        try stores.close()
    }

    @Test func aFullDiskLeavesWhatWasAppliedInMemory() throws {
        var options = SQLiteStoreOptions.test
        options.maximumPageCount = 40
        let stores = try SQLiteStores.open(directory, options: options)
        let commands = (1...100).map { index in
            IndexedCommand(
                index: LogIndex(UInt64(index)), command: .sample(UInt64(index) * 2 + 1, valueByteCount: 4000))
        }
        try stores.state.apply([ApplyBatch(range: a, commands: Array(commands[..<5]), state: AppliedState(5))])
        _ = try stores.state.checkpoint()
        try stores.state.apply([ApplyBatch(range: a, commands: commands, state: AppliedState(100))])
        let before = try scan(stores.state)
        #expect(code { _ = try stores.state.checkpoint() } == .diskFull)
        #expect(try scan(stores.state) == before)
        #expect(code { _ = try stores.state.checkpoint() } == .diskFull)
        try stores.state.apply([ApplyBatch(range: a, commands: [], state: AppliedState(101))])
        // Space comes back.
        try stores.state.file.withLock { file in
            try file.connection.access("test") { try $0.execute(sql: "PRAGMA max_page_count = 100000") }
        }
        #expect(try stores.state.checkpoint() == [a: LogIndex(101)])
        #expect(try scan(stores.state) == before)
        let copy = directory.crashCopy()
        let crashed = try SQLiteStores.open(copy)
        #expect(try crashed.state.load()[a]?.position.index == LogIndex(101))
        #expect(try scan(crashed.state) == before)
        try crashed.close()
        try stores.close()
    }

    @Test func nothingIsWrittenAfterAFailure() throws {
        let stores = try SQLiteStores.open(directory)
        try stores.log.write([LogWrite(a, entries: .commands(1...1))])
        stores.log.connection.poison(after: SQLiteErrors.error(1034, "log.sqlite", "fsync"))
        for _ in 0..<2 {
            #expect(code { try stores.log.write([LogWrite(a, entries: .commands(2...2))]) } == .storageFailed)
            #expect(code { try stores.log.write([LogWrite(a, compact: LogPosition(1, 1))]) } == .storageFailed)
            #expect(code { try stores.log.checkpoint() } == .storageFailed)
        }
        stores.state.file.withLock { $0.connection.poison(after: SQLiteErrors.error(1034, "state.sqlite", "fsync")) }
        #expect(code { _ = try stores.state.checkpoint() } == .storageFailed)
        #expect(
            code { try stores.state.apply([ApplyBatch(range: a, commands: [], state: AppliedState(9))]) }
                == .storageFailed)
        try stores.close()
    }

    /// A new process would read the page cache, which shows what the disk does not have.
    @Test(arguments: ["log", "state"]) func afterAFailedSyncTheFilesAreNotTrustedAgain(_ file: String) throws {
        let stores = try SQLiteStores.open(directory)
        try stores.log.write([LogWrite(a, entries: .commands(1...1))])
        let error = SQLiteErrors.error(1034, "\(file).sqlite", "fsync")
        if file == "log" {
            stores.log.connection.poison(after: error)
        } else {
            stores.state.file.withLock { $0.connection.poison(after: error) }
        }
        // Already while the process lives: it may be killed.
        let crashed = directory.crashCopy()
        #expect(code { try SQLiteStores.open(crashed).close() } == .corruption)
        try stores.close()
        for _ in 0..<2 { #expect(code { try SQLiteStores.open(directory).close() } == .corruption) }
        try SQLiteStores.remove(directory: directory.path)
        try SQLiteStores.open(directory).close()
    }

    @Test func aFullDiskLeavesNoMark() throws {
        let stores = try SQLiteStores.open(directory)
        stores.log.connection.poison(after: SQLiteErrors.error(13, "log.sqlite", "write"))
        try stores.log.write([LogWrite(a, entries: .commands(1...1))])
        try stores.close()
        try SQLiteStores.open(directory).close()
    }

    @Test func errorsNameNoRowData() throws {
        let stores = try SQLiteStores.open(directory)
        let secret = Command(
            request: RequestID(high: 1, low: 1), timestamp: Timestamp(1), closed: .zero,
            mutations: [Mutation(key: Key("canary"), value: bytes("canary"))])
        try stores.state.apply([
            ApplyBatch(
                range: a, commands: [IndexedCommand(index: LogIndex(1), command: secret)], state: AppliedState(1))
        ])
        _ = try stores.state.checkpoint()
        try stores.state.file.withLock { file in
            try file.connection.access("test") { try $0.execute(sql: "UPDATE versions SET checksum = 0") }
        }
        do {
            _ = try stores.state.makeReader().read(Key("canary"), at: .distantFuture)
            Issue.record("unnoticed")
        } catch let error as MeridianError {
            #expect(error.code == .corruption)
            #expect(!"\(error)".contains("canary"))
        }
        try stores.close()
    }
}
