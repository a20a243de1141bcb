import BenchSupport
import Foundation
import GRDB

/// What the disk and SQLite can do alone, in the same run: the yardstick for the figures beside it.
struct BareDisk {
    let directory: String

    func run(_ report: FigureReport) throws {
        BenchRun.note("bare disk and SQLite …")
        report.add("disk.fdatasync", try fdatasyncsPerSecond(), "1/s")
        report.add("sqlite.bare.1", try rowsPerSecond(batch: 1), "1/s")
        report.add("sqlite.bare.64", try rowsPerSecond(batch: 64), "1/s")
    }

    /// One page overwritten and synced, again and again.
    private func fdatasyncsPerSecond() throws -> Double {
        let file = open(directory + "/bare", O_CREAT | O_RDWR, 0o644)
        precondition(file >= 0, "the bench's directory cannot be written")
        defer { close(file) }
        let page = [UInt8](repeating: 1, count: 4096)
        for number in 0..<256 { _ = pwrite(file, page, page.count, off_t(number * page.count)) }
        fsync(file)
        return measure(for: 1) { number in
            _ = pwrite(file, page, page.count, off_t((number % 256) * page.count))
            fdatasync(file)
            return 1
        }
    }

    /// Rows of 100 bytes through GRDB, one transaction a batch, WAL, `synchronous=FULL`.
    private func rowsPerSecond(batch: Int) throws -> Double {
        var configuration = Configuration()
        configuration.journalMode = .wal
        let queue = try DatabaseQueue(path: directory + "/bare-\(batch).sqlite", configuration: configuration)
        try queue.writeWithoutTransaction { database in
            try database.execute(
                sql: "PRAGMA synchronous = FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB)")
        }
        let data = Data(repeating: 1, count: 100)
        return try measure(for: 1) { number in
            try queue.inTransaction { database in
                let statement = try database.cachedStatement(sql: "INSERT INTO rows VALUES (?, ?)")
                for row in 0..<batch { try statement.execute(arguments: [number * batch + row, data]) }
                return .commit
            }
            return batch
        }
    }

    private func measure(for seconds: Double, _ body: (Int) throws -> Int) rethrows -> Double {
        let start = ContinuousClock.now
        var done = 0
        var rounds = 0
        while (ContinuousClock.now - start) / .seconds(1) < seconds {
            done += try body(rounds)
            rounds += 1
        }
        return Double(done) / ((ContinuousClock.now - start) / .seconds(1))
    }
}
