import Foundation
import GRDB
import MeridianCore
import Testing

@testable import MeridianStorage

/// Costs of the hot paths, printed. Opt-in, and only meaningful in release:
/// `MERIDIAN_BENCH=1 swift test -c release -Xswiftc -enable-testing --filter StorageBench`.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["MERIDIAN_BENCH"] != nil))
struct StorageBench {
    private let directory = TemporaryDirectory()

    private func measure(_ name: String, per count: Int, _ body: () throws -> Void) rethrows {
        let clock = ContinuousClock()
        let duration = try clock.measure(body)
        let microseconds = Double(duration.nanoseconds) / 1000 / Double(count)
        print("bench: \(name): \(String(format: "%.2f", microseconds)) µs")
    }

    private func entries(_ count: Int, from first: UInt64, valueByteCount: Int = 100) -> [Entry] {
        .commands(first...(first + UInt64(count) - 1), valueByteCount: valueByteCount)
    }

    @Test func encoding() throws {
        var writer = ByteWriter()
        let entry = Entry.command(1)
        measure("encode an entry", per: 1_000_000) {
            for _ in 0..<1_000_000 {
                writer.removeAll()
                EntryCoding.encode(entry, of: RangeID(1), to: &writer)
            }
        }
        try measure("decode an entry", per: 200_000) {
            for _ in 0..<200_000 {
                var reader = ByteReader(writer.bytes)
                _ = try EntryCoding.decode(of: RangeID(1), from: &reader)
            }
        }
        let bytes = [UInt8](repeating: 7, count: 4096)
        measure("CRC-32C of 4 KiB", per: 100_000) {
            for _ in 0..<100_000 { _ = Checksum.of(bytes) }
        }
    }

    @Test(arguments: [1, 64, 512], [1, 8]) func log(batch: Int, ranges: Int) throws {
        guard batch >= ranges else { return }
        let stores = try SQLiteStores.open(
            directory: directory.path + "/log-\(batch)-\(ranges)", identity: .test, options: SQLiteStoreOptions())
        defer { try? stores.close() }
        for isSynced in [true, false] {
            if !isSynced {
                try stores.log.connection.access("bench") { try $0.execute(sql: "PRAGMA synchronous = OFF") }
            }
            let batches = isSynced ? 1000 : max(200, 60_000 / batch)
            let template = entries(batch / ranges, from: 1)
            var next: UInt64 = (try stores.log.load()[RangeID(0)]?.entries.last?.index.rawValue ?? 0) + 1
            var checkpoints = Duration.zero
            var work: [[LogWrite]] = []
            for _ in 0..<batches {
                work.append(
                    (0..<ranges).map { range in
                        LogWrite(
                            RangeID(UInt64(range)),
                            entries: template.enumerated().map {
                                Entry(term: $1.term, index: LogIndex(next + UInt64($0)), payload: $1.payload)
                            })
                    })
                next += UInt64(template.count)
            }
            let clock = ContinuousClock()
            let duration = try clock.measure {
                for batch in work {
                    try stores.log.write(batch)
                    if stores.log.pendingCheckpointByteCount > 3 << 20 {
                        checkpoints += try clock.measure { try stores.log.checkpoint() }
                    }
                }
            }
            let each = Double((duration - checkpoints).nanoseconds) / 1000 / Double(batches)
            let checkpoint = Double(checkpoints.nanoseconds) / 1000 / Double(batches)
            print(
                String(
                    format: "bench: log batch of %d in %d ranges, %@: %.1f µs, %.2f µs an entry (checkpoint %.1f µs)",
                    batch, ranges, isSynced ? "fsync" : "no fsync", each, each / Double(batch), checkpoint))
        }
    }

    /// What growing the write-ahead log ahead is good for: the same commits into a file that grows and one that has.
    @Test(arguments: [0, 16 << 20]) func growingAhead(byteCount: Int) throws {
        var options = SQLiteStoreOptions()
        options.logPreallocatedByteCount = byteCount
        let stores = try SQLiteStores.open(
            directory: directory.path + "/grow-\(byteCount)", identity: .test, options: options)
        defer { try? stores.close() }
        let batches = (1...1000).map { [LogWrite(RangeID(1), entries: entries(1, from: UInt64($0)))] }
        try measure("log batch of 1, fsync, \(byteCount >> 20) MiB ahead", per: batches.count) {
            for batch in batches { try stores.log.write(batch) }
        }
    }

    /// The floor of a batch: one write of a page over bytes that are there, and fdatasync.
    @Test func bareSync() throws {
        let descriptor = open(directory.path + "/bare", O_RDWR | O_CREAT, 0o600)
        defer { close(descriptor) }
        let zeros = [UInt8](repeating: 1, count: 4 << 20)
        #expect(write(descriptor, zeros, zeros.count) == zeros.count)
        fsync(descriptor)
        measure("4 KiB over existing bytes and fdatasync", per: 1000) {
            for page in 0..<1000 {
                pwrite(descriptor, zeros, 4096, off_t(page * 4096))
                fdatasync(descriptor)
            }
        }
    }

    @Test(arguments: [1, 16, 64, 256, 1024]) func apply(batch: Int) throws {
        let stores = try SQLiteStores.open(
            directory: directory.path + "/state-\(batch)", identity: .test, options: SQLiteStoreOptions())
        defer { try? stores.close() }
        let total = 100_000
        let template = entries(total, from: 1)
        var checkpoints = Duration.zero
        let clock = ContinuousClock()
        let duration = try clock.measure {
            var index = 0
            while index < total {
                let end = min(total, index + batch)
                let commands = template[index..<end].map { entry -> IndexedCommand in
                    guard case .command(let command) = entry.payload else { fatalError() }
                    return IndexedCommand(index: entry.index, command: command)
                }
                try stores.state.apply([
                    ApplyBatch(range: RangeID(1), commands: commands, state: AppliedState(UInt64(end)))
                ])
                index = end
                if stores.state.pendingCheckpointByteCount > 16 << 20 {
                    checkpoints += try clock.measure { _ = try stores.state.checkpoint() }
                }
            }
        }
        let each = Double((duration - checkpoints).nanoseconds) / 1000 / Double(total)
        let checkpoint = Double(checkpoints.nanoseconds) / 1000 / Double(total)
        print(
            String(
                format: "bench: apply in batches of %d, 100,000 random keys: %.2f µs a mutation (checkpoint %.2f µs)",
                batch, each, checkpoint))
        // What replicas compare costs: one hash a version, applied or looked through.
        var digest = RangeDigest()
        let hashing = clock.measure {
            for entry in template {
                guard case .command(let command) = entry.payload else { continue }
                for mutation in command.mutations {
                    let version = Version(timestamp: command.timestamp, value: mutation.value)
                    digest.add(RangeDigest.hash(mutation.key, version, in: RangeID(1)))
                }
            }
        }
        #expect(digest.count == UInt64(total))
        let share = Double(hashing.nanoseconds) / Double((duration - checkpoints).nanoseconds)
        print(
            String(
                format: "bench: digest: %.3f µs a mutation, %.1f %% of applying it",
                Double(hashing.nanoseconds) / 1000 / Double(total), share * 100))
        try measure("inspection of 100,000 rows", per: total) {
            var isDone = false
            while !isDone {
                isDone = try stores.state.inspect(RangeID(1), in: .all, limit: 500).isComplete
            }
        }
        try measure("checkpoint of 100,000 new rows", per: total) { _ = try stores.state.checkpoint() }
        guard batch == 64 else { return }
        let reader = try stores.state.makeReader()
        let keys = template.map { entry -> Key in
            guard case .command(let command) = entry.payload else { fatalError() }
            return command.mutations[0].key
        }
        try measure("point read from 100,000 rows", per: total) {
            for key in keys { _ = try reader.read(key, at: .distantFuture) }
        }
        try measure("scanned row", per: total) {
            _ = try reader.scan(.all, at: .distantFuture, limit: .max, byteLimit: .max)
        }
        // The same keys again: every page changes.
        let commands = template.enumerated().map { position, entry -> IndexedCommand in
            guard case .command(var command) = entry.payload else { fatalError() }
            command.timestamp = command.timestamp.next
            return IndexedCommand(index: LogIndex(UInt64(total + position + 1)), command: command)
        }
        for count in [1000, 10_000] {
            let first = count == 1000 ? 0 : 1000
            let end = AppliedState(UInt64(total + first + count))
            try stores.state.apply([
                ApplyBatch(range: RangeID(1), commands: Array(commands[first..<(first + count)]), state: end)
            ])
            try measure("checkpoint of \(count) changed among 100,000 rows", per: count) {
                _ = try stores.state.checkpoint()
            }
        }
    }
}
