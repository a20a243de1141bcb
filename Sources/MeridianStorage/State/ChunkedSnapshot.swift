import MeridianCore
import Synchronization

/// A picture of a range's versions, wherever it is kept.
protocol VersionSource: AnyObject {
    /// The versions after a position, by key and then from the newest, until the visitor returns false.
    /// The bytes are valid during the visit. Each version's checksum has been verified.
    func versions(
        after position: VersionPosition?,
        _ visit: (UnsafeRawBufferPointer, Int64, UnsafeRawBufferPointer?, UInt32) throws -> Bool
    ) throws
    func close()
}

struct VersionPosition: Hashable {
    var key: [UInt8]
    var timestamp: Int64
}

/// Cuts a picture into chunks, and remembers where each chunk began, so that a chunk can be asked for again.
/// A chunk keeps the size that it was first asked for in.
final class ChunkedSnapshot: SnapshotReader {
    let state: AppliedState
    private let contents: Mutex<Contents>

    fileprivate struct Contents {
        var source: any VersionSource
        var requests: [RequestMemory.Outcome]
        /// Where the chunks begin that have been reached; the first begins at the beginning.
        var starts = [Start()]
        var isComplete = false
        var isClosed = false
        var writer = ByteWriterBox()
    }

    fileprivate struct Start {
        var version: VersionPosition?
        var hasAllVersions = false
        var requestCount = 0
        var totals = SnapshotCoding.Totals()
    }

    /// Lets a struct that is copied nowhere hold the writer, which cannot be copied.
    fileprivate final class ByteWriterBox { var writer = ByteWriter(capacity: 64 * 1024) }

    init(state: AppliedState, source: sending any VersionSource, requests: [RequestMemory.Outcome]) {
        self.state = state
        contents = Mutex(Contents(source: source, requests: requests))
    }

    func chunk(at offset: Int, byteLimit: Int) throws -> SnapshotChunk? {
        precondition(offset >= 0 && byteLimit > 0, "chunk \(offset) of \(byteLimit) bytes")
        return try contents.withLock { (contents) -> SnapshotChunk? in
            guard !contents.isClosed else { throw MeridianError(.shutDown, "the snapshot has been closed") }
            while contents.starts.count <= offset {
                if contents.isComplete { return nil }
                _ = try contents.cut(at: contents.starts.count - 1, byteLimit)
            }
            if contents.isComplete, offset == contents.starts.count - 1 { return nil }
            return try contents.cut(at: offset, byteLimit)
        }
    }

    func close() {
        contents.withLock { contents in
            guard !contents.isClosed else { return }
            contents.isClosed = true
            contents.source.close()
        }
    }

    deinit { close() }
}

extension ChunkedSnapshot.Contents {
    /// Cuts the chunk that begins at `starts[offset]`: up to the next start if that is known, else up to the limit.
    fileprivate mutating func cut(at offset: Int, _ byteLimit: Int) throws -> SnapshotChunk {
        let end: ChunkedSnapshot.Start? = offset + 1 < starts.count ? starts[offset + 1] : nil
        var position = starts[offset]
        let box = writer
        box.writer.removeAll()
        if offset == 0 { box.writer.put(SnapshotCoding.format) }
        if !position.hasAllVersions, position.version != end?.version || end == nil || end!.hasAllVersions {
            var isFull = false
            try source.versions(after: position.version) { key, timestamp, value, checksum in
                box.writer.put(SnapshotCoding.Tag.version)
                box.writer.put(UInt32(key.count))
                box.writer.put(key)
                box.writer.put(timestamp)
                box.writer.put(value.map { UInt32($0.count) } ?? .max)
                if let value { box.writer.put(value) }
                box.writer.put(checksum)
                position.totals.add(version: checksum)
                position.version = VersionPosition(key: [UInt8](key), timestamp: timestamp)
                if let end {
                    isFull = !end.hasAllVersions && end.version == position.version
                } else {
                    isFull = box.writer.count >= byteLimit
                }
                return !isFull
            }
            position.hasAllVersions = !isFull
        }
        var isLast = false
        if position.hasAllVersions {
            let stop = end?.requestCount ?? requests.count
            while position.requestCount < stop, end != nil || box.writer.count < byteLimit {
                let outcome = requests[position.requestCount]
                box.writer.put(SnapshotCoding.Tag.request)
                OutcomeCoding.encode(outcome, to: &box.writer)
                position.totals.add(outcome)
                position.requestCount += 1
            }
            isLast = end == nil ? position.requestCount == requests.count : offset + 2 == starts.count && isComplete
            if isLast {
                box.writer.put(SnapshotCoding.Tag.end)
                box.writer.put(position.totals.versionCount)
                box.writer.put(position.totals.requestCount)
                box.writer.put(position.totals.checksumSum)
            }
        }
        if end == nil {
            starts.append(position)
            isComplete = isLast
        }
        let bytes = box.writer.array
        return SnapshotChunk(offset: offset, bytes: bytes, isLast: isLast, checksum: Checksum.of(bytes))
    }
}
