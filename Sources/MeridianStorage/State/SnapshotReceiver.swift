import MeridianCore

/// Receives a snapshot's chunks and hands them, when all are there, to the store that installs them.
///
/// `@unchecked Sendable`: used by one thread at a time, the store's (`StateStore`).
final class SnapshotReceiver: SnapshotWriter, @unchecked Sendable {
    struct Malformed: Error { var offset: Int }

    private let staging: any ChunkStaging
    private let install: (SnapshotReceiver) throws -> SnapshotInstallation
    private var isComplete = false
    private var hasEnded = false
    private(set) var nextOffset = 0

    /// - Parameter install: replaces the range by what `decode` gives, durably and all at once, if it is news.
    init(staging: any ChunkStaging, install: @escaping (SnapshotReceiver) throws -> SnapshotInstallation) {
        self.staging = staging
        self.install = install
    }

    func append(_ chunk: SnapshotChunk) throws {
        precondition(!hasEnded, "chunk \(chunk.offset) after the end")
        // A chunk that came twice, or too early, changes nothing; `nextOffset` tells the sender where to go on.
        guard chunk.offset == nextOffset, !isComplete else { return }
        guard Checksum.of(chunk.bytes) == chunk.checksum else {
            throw MeridianError(.corruption, "snapshot chunk \(chunk.offset): checksum", retry: .immediately)
        }
        try staging.append(chunk)
        nextOffset += 1
        isComplete = chunk.isLast
    }

    func commit() throws -> SnapshotInstallation {
        precondition(!hasEnded, "commit after the end")
        guard isComplete else {
            throw MeridianError(.corruption, "snapshot: chunk \(nextOffset) and what follows are missing")
        }
        let installation: SnapshotInstallation
        do {
            installation = try install(self)
        } catch let malformed as Malformed {
            throw MeridianError(
                .corruption, "snapshot chunk \(malformed.offset) is not what a sender would have made")
        }
        cancel()
        return installation
    }

    func cancel() {
        hasEnded = true
        staging.discard()
    }

    /// Goes through the whole snapshot.
    /// - Throws: `Malformed` when it is not what a sender would have made for this span. Not the error that damage in
    ///   the store's own files is, which would stop the store from being written.
    func decode(
        in span: KeySpan,
        version: (_ key: [UInt8], _ timestamp: Timestamp, _ value: [UInt8]?) throws -> Void,
        outcome: (RequestMemory.Outcome) throws -> Void
    ) throws {
        var decoder = SnapshotCoding.Decoder()
        for offset in 0..<nextOffset {
            do {
                try staging.bytes(at: offset).withUnsafeBytes { bytes in
                    try decoder.decode(
                        bytes,
                        version: { key, timestamp, value in
                            guard span.contains(Key(key)) else { throw ByteReader.Malformed() }
                            try version(key, timestamp, value)
                        }, outcome: outcome)
                }
                if offset == nextOffset - 1 { try decoder.expectEnd() }
            } catch is ByteReader.Malformed {
                throw Malformed(offset: offset)
            }
        }
    }
}
