import Foundation

/// Reads a history from JSON lines, as they arrive. Holds one line and one block of the file at a time, besides the
/// history itself.
public struct HistoryReader: Sendable {
    private var history: History
    private let parser: EventParser
    /// The beginning of a line whose end has not arrived.
    private var rest: [UInt8] = []
    private var line = 0

    /// Lines longer than this are refused: 64 MiB.
    static let maximumLineByteCount = 64 << 20

    public init(model: HistoryModel) {
        history = History(model: model)
        parser = EventParser(model: model)
    }

    /// Takes the next bytes, which may end anywhere.
    ///
    /// - Throws: `HistoryError` at the first line that is malformed or does not fit those before it.
    public mutating func read(_ bytes: UnsafeBufferPointer<UInt8>) throws(HistoryError) {
        var first = 0
        while first < bytes.count, let base = bytes.baseAddress {
            guard let found = memchr(base + first, 0x0A, bytes.count - first) else { break }
            let end = UnsafeRawPointer(found) - UnsafeRawPointer(base)
            let part = UnsafeBufferPointer(rebasing: bytes[first..<end])
            if rest.isEmpty {
                try record(part)
            } else {
                rest.append(contentsOf: part)
                try recordRest()
            }
            first = end + 1
        }
        rest.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[first...]))
        guard rest.count <= Self.maximumLineByteCount else {
            throw HistoryError(line: line + 1, reason: "longer than \(Self.maximumLineByteCount) bytes")
        }
    }

    /// The history, when all bytes were read. Operations without a completion are unknown.
    public mutating func finish() throws(HistoryError) -> History {
        if !rest.isEmpty { try recordRest() }
        return history
    }

    private mutating func recordRest() throws(HistoryError) {
        let whole = rest
        rest.removeAll(keepingCapacity: true)
        let result = whole.withUnsafeBufferPointer { buffer in
            Result { () throws(HistoryError) in try record(buffer) }
        }
        try result.get()
    }

    private mutating func record(_ bytes: UnsafeBufferPointer<UInt8>) throws(HistoryError) {
        line += 1
        // Blank lines are no events.
        guard !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { return }
        guard let event = try parser.event(of: bytes, line: line) else { return }
        try history.record(event, line: line)
    }
}

extension HistoryReader {
    /// - Throws: `HistoryError` at the first malformed line.
    public static func history(of text: String, model: HistoryModel) throws(HistoryError) -> History {
        var reader = HistoryReader(model: model)
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBufferPointer { buffer in
            Result { () throws(HistoryError) in try reader.read(buffer) }
        }
        try result.get()
        return try reader.finish()
    }

    /// Reads to the end of a file.
    ///
    /// - Throws: `HistoryError` at the first malformed line, or the file handle's own error.
    public static func history(from file: FileHandle, model: HistoryModel) throws -> History {
        var reader = HistoryReader(model: model)
        while let block = try file.read(upToCount: 1 << 20), !block.isEmpty {
            try block.withUnsafeBytes { try reader.read($0.bindMemory(to: UInt8.self)) }
        }
        return try reader.finish()
    }
}
