import Foundation
import GRDB
import MeridianCore
import Synchronization
import Testing

@testable import MeridianStorage

/// Opening a directory: whose it is, who has it open, and what is refused.
@Suite struct OpeningTests {
    private let directory = TemporaryDirectory()

    /// Opens, writes a little and closes.
    private func prepare(compacted: Bool = false) throws {
        let stores = try SQLiteStores.open(directory)
        var write = LogWrite(RangeID(1), entries: .commands(1...3))
        if compacted { write.compact = LogPosition(2, 1) }
        try stores.log.write([write])
        try stores.state.apply([ApplyBatch(range: RangeID(1), commands: [], state: AppliedState(2))])
        try stores.close()
    }

    private func prepareWithout(_ file: String) throws {
        try prepare()
        for name in [file, file + "-wal"] { try FileManager.default.removeItem(atPath: directory.path + "/" + name) }
    }

    private func openingFails() -> MeridianError.Code? {
        code { try SQLiteStores.open(directory).close() }
    }

    private func change(_ file: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: directory.path + "/" + file)
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test func commitsOfTheLogAreSyncedAndThoseOfTheStateAreNot() throws {
        let stores = try SQLiteStores.open(directory)
        func synchronous(_ connection: StoreConnection) throws -> Int? {
            try connection.access("test") { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
        }
        #expect(try synchronous(stores.log.connection) == 2)
        try stores.state.file.withLock { file in
            let level = try synchronous(file.connection)
            #expect(level == 1)
            let mode = try file.connection.access("test") { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
            #expect(mode == "wal")
        }
        let mode = try stores.log.connection.access("test") { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
        #expect(mode == "wal")
        try stores.close()
    }

    /// On Apple's systems a plain fsync leaves the bytes in the drive's cache.
    @Test func syncsReachTheDisk() throws {
        let stores = try SQLiteStores.open(directory)
        for pragma in ["fullfsync", "checkpoint_fullfsync"] {
            func isOn(_ connection: StoreConnection) throws -> Bool? {
                try connection.access("test") { try Bool.fetchOne($0, sql: "PRAGMA \(pragma)") }
            }
            #expect(try isOn(stores.log.connection) == true)
            let isOnForRows = try stores.state.file.withLock { try isOn($0.connection) }
            #expect(isOnForRows == true)
        }
        try stores.close()
    }

    @Test func aDirectoryIsMadeWithThoseAboveIt() throws {
        let path = directory.path + "/a/b/c"
        try SQLiteStores.open(directory: path, identity: .test, options: .test).close()
        try SQLiteStores.open(directory: path, identity: .test, options: .test).close()
    }

    @Test func theLogNeedsNoSharedMemoryFile() throws {
        let stores = try SQLiteStores.open(directory)
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/log.sqlite-shm"))
        try stores.close()
    }

    @Test func theWriteAheadLogIsGrownAheadAndStays() throws {
        let stores = try SQLiteStores.open(directory)
        #expect(directory.bytes("log.sqlite-wal").count >= SQLiteStoreOptions.test.logPreallocatedByteCount)
        try stores.log.write([LogWrite(RangeID(1), entries: .commands(1...3))])
        try stores.log.checkpoint()
        #expect(directory.bytes("log.sqlite-wal").count >= SQLiteStoreOptions.test.logPreallocatedByteCount)
        try stores.close()
        #expect(directory.bytes("log.sqlite-wal").count >= SQLiteStoreOptions.test.logPreallocatedByteCount)
    }

    @Test func isRefusedWhileItIsOpen() throws {
        let stores = try SQLiteStores.open(directory)
        #expect(openingFails() == .directoryInUse)
        try stores.close()
        #expect(openingFails() == nil)
    }

    @Test func isPossibleAgainAfterAFailure() throws {
        try prepare()
        var other = StoreIdentity.test
        other.clusterID = "c2"
        #expect(code { _ = try SQLiteStores.open(directory: directory.path, identity: other) } == .wrongCluster)
        #expect(openingFails() == nil)
    }

    @Test func refusesAnotherClusterNodeOrPlaceButNotAnotherName() throws {
        try prepare()
        func code(_ change: (inout StoreIdentity) -> Void) -> MeridianError.Code? {
            var identity = StoreIdentity.test
            change(&identity)
            return MeridianStorageTests.code {
                try SQLiteStores.open(directory: directory.path, identity: identity, options: .test).close()
            }
        }
        #expect(code { $0.clusterID = "other" } == .wrongCluster)
        #expect(code { $0.node = NodeID(2) } == .wrongCluster)
        #expect(code { $0.region = "us-east-1" } == .wrongCluster)
        #expect(code { $0.jurisdiction = nil } == .wrongCluster)
        #expect(code { $0.name = "renamed" } == nil)
    }

    @Test(arguments: ["log.sqlite", "state.sqlite"]) func refusesANewerFormat(_ file: String) throws {
        try prepare()
        try change(file, "UPDATE meta SET value = '99' WHERE name = 'format'")
        #expect(openingFails() == .newerFormat)
    }

    @Test(arguments: ["log.sqlite", "state.sqlite"]) func refusesAFormatThatItCannotMigrate(_ file: String) throws {
        try prepare()
        try change(file, "UPDATE meta SET value = '4' WHERE name = 'format'")
        #expect(openingFails() == .olderFormat)
    }

    @Test(arguments: ["log.sqlite", "state.sqlite"]) func refusesADatabaseOfSomebodyElse(_ file: String) throws {
        try prepareWithout(file)
        try change(file, "CREATE TABLE t(x)")
        #expect(openingFails() == .notADatabase)
    }

    @Test(arguments: ["log.sqlite", "state.sqlite"]) func refusesGarbage(_ file: String) throws {
        try prepareWithout(file)
        var random = SplitMix64(seed: 1)
        directory.write((0..<10_000).map { _ in UInt8.random(in: 0...255, using: &random) }, to: file)
        #expect(openingFails() == .notADatabase)
    }

    @Test func refusesTheFilesTheWrongWayRound() throws {
        try prepare()
        let (log, state) = (directory.bytes("log.sqlite"), directory.bytes("state.sqlite"))
        for name in ["log.sqlite-wal", "state.sqlite-wal"] {
            directory.write([UInt8](repeating: 0, count: directory.bytes(name).count), to: name)
        }
        directory.write(state, to: "log.sqlite")
        directory.write(log, to: "state.sqlite")
        #expect(openingFails() == .notADatabase)
    }

    @Test(arguments: ["log.sqlite", "state.sqlite"]) func aTruncatedFileIsCorrupt(_ file: String) throws {
        try prepare()
        directory.write([UInt8](repeating: 0, count: directory.bytes("\(file)-wal").count), to: "\(file)-wal")
        directory.write(Array(directory.bytes(file).dropLast(4096)), to: file)
        let code = code {
            let stores = try SQLiteStores.open(directory)
            defer { try? stores.close() }
            _ = try stores.log.load()
            _ = try stores.state.load()
            _ = try stores.state.makeReader().scan(.all, at: .distantFuture, limit: 10, byteLimit: 10)
        }
        #expect(code == .corruption)
    }

    @Test func aStateWithoutItsLogIsCorrupt() throws {
        try prepare()
        for name in ["log.sqlite", "log.sqlite-wal"] {
            try FileManager.default.removeItem(atPath: directory.path + "/" + name)
        }
        #expect(openingFails() == .corruption)
        // It must not help to try again.
        #expect(openingFails() == .corruption)
    }

    @Test func aCompactedLogWithoutItsStateIsCorrupt() throws {
        try prepare(compacted: true)
        for name in ["state.sqlite", "state.sqlite-wal"] {
            try FileManager.default.removeItem(atPath: directory.path + "/" + name)
        }
        #expect(openingFails() == .corruption)
        #expect(openingFails() == .corruption)
    }

    @Test func aWholeLogBringsBackItsState() throws {
        try prepare()
        for name in ["state.sqlite", "state.sqlite-wal"] {
            try FileManager.default.removeItem(atPath: directory.path + "/" + name)
        }
        let stores = try SQLiteStores.open(directory)
        #expect(try stores.state.load().isEmpty)
        #expect(try stores.log.load()[RangeID(1)]?.entries.count == 3)
        try stores.close()
    }

    /// A descriptor that is closed twice closes a file of somebody else, who got its number in between.
    @Test func aRefusedOpeningClosesNobodysFile() throws {
        let stores = try SQLiteStores.open(directory)
        errno = 0
        let lock = try? DirectoryLock(directory: directory.path)
        let code = errno
        #expect(lock == nil)
        #expect(code != EBADF)
        try stores.close()
    }

    @Test func saysInWordsWhoseFileItIs() throws {
        try prepare()
        for file in ["log.sqlite", "state.sqlite"] {
            let queue = try DatabaseQueue(path: directory.path + "/" + file)
            let rows = try queue.read { try Row.fetchAll($0, sql: "SELECT name, value FROM meta ORDER BY name") }
            let isLog = file == "log.sqlite"
            let rest = isLog ? ["write_ahead_log_bytes=0"] : []
            #expect(
                rows.map { "\($0[0] as String)=\($0[1] as String)" } == [
                    "cluster=c1", "format=\(isLog ? 5 : 4)", "jurisdiction=EU", "kind=\(isLog ? "log" : "state")",
                    "name=n1", "node=1", "region=eu-central-1",
                ] + rest)
            try queue.close()
        }
    }
}
