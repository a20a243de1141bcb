import GRDB
import MeridianCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where the chunks of a snapshot lie until all of them are there.
protocol ChunkStaging: AnyObject {
    func append(_ chunk: SnapshotChunk) throws
    func bytes(at offset: Int) throws -> [UInt8]
    /// Throws everything away.
    func discard()
}

/// Chunks in a SQLite file of their own, so that a large snapshot neither fills memory nor bloats the state. Nothing
/// in it need survive a crash: a snapshot that was not committed is received again.
final class SnapshotStaging: ChunkStaging {
    private static let prefix = "snapshot-"
    private let path: String
    private let connection: StoreConnection
    private var isDiscarded = false

    init(directory: String, number: Int) throws {
        let name = "\(Self.prefix)\(number).sqlite"
        path = directory + "/" + name
        connection = try StoreConnection(path: path, file: name, isReadOnly: false) {
            try $0.execute(sql: "PRAGMA journal_mode = OFF")
            try $0.execute(sql: "PRAGMA synchronous = OFF")
            try $0.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
        }
        try connection.access("set up") {
            try $0.execute(sql: "CREATE TABLE chunks(number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")
        }
    }

    deinit { discard() }

    func append(_ chunk: SnapshotChunk) throws {
        let statement = try SQLiteStatement(
            connection.handle, file: connection.file, name: "stage", sql: "INSERT INTO chunks VALUES(?, ?)")
        defer { statement.finalize() }
        try chunk.bytes.withUnsafeBytes { bytes in
            statement.bind(1, Int64(chunk.offset))
            statement.bind(2, bytes)
            try connection.perform { try statement.run() }
        }
    }

    func bytes(at offset: Int) throws -> [UInt8] {
        let statement = try SQLiteStatement(
            connection.handle, file: connection.file, name: "stage", sql: "SELECT bytes FROM chunks WHERE number = ?")
        defer { statement.finalize() }
        statement.bind(1, Int64(offset))
        return try connection.perform {
            guard try statement.step() else {
                throw MeridianError(.corruption, "\(connection.file): chunk \(offset) is missing")
            }
            return [UInt8](statement.blob(0))
        }
    }

    func discard() {
        guard !isDiscarded else { return }
        isDiscarded = true
        try? connection.close()
        unlink(path)
    }

    /// Throws away what a crash left.
    static func removeAll(in directory: String) throws {
        for name in names(in: directory) { unlink(directory + "/" + name) }
    }

    /// Whether a snapshot is being received.
    static func isAnyThere(in directory: String) -> Bool { !names(in: directory).isEmpty }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(prefix), name.hasSuffix(".sqlite") { names.append(name) }
        }
        return names
    }
}

/// Chunks in memory.
final class MemoryStaging: ChunkStaging {
    private var chunks: [[UInt8]] = []

    func append(_ chunk: SnapshotChunk) { chunks.append(chunk.bytes) }
    func bytes(at offset: Int) -> [UInt8] { chunks[offset] }
    func discard() { chunks = [] }
}
