import Foundation

/// Counts byte strings in files, whatever format the files have: what is nowhere in the bytes is not there.
///
/// One pass for all patterns: the first four bytes at each position are hashed into a table of 65,536 flags, and only
/// where a flag is set are patterns compared. Occurrences that straddle two pages of a file are not seen, so a pattern
/// is searched for in many copies, and structured counts stand beside these.
package struct ByteScan: Sendable {
    private let patterns: [[UInt8]]
    private var candidates: [UInt32: [Int]] = [:]
    private var flags = [Bool](repeating: false, count: 1 << 16)

    private static let headCount = 4

    /// Precondition: each pattern has at least four bytes.
    package init(_ patterns: [[UInt8]]) {
        self.patterns = patterns
        for (position, pattern) in patterns.enumerated() {
            precondition(pattern.count >= Self.headCount, "a pattern of \(pattern.count) bytes")
            let head = pattern.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
            candidates[head, default: []].append(position)
            flags[Self.slot(head)] = true
        }
    }

    /// How often each pattern occurs, in the order of the patterns.
    package func counts(in bytes: UnsafeRawBufferPointer) -> [Int] {
        var counts = [Int](repeating: 0, count: patterns.count)
        guard bytes.count >= Self.headCount else { return counts }
        flags.withUnsafeBufferPointer { flags in
            var start = 0
            while start < bytes.count {
                let end = min(start + Self.blockCount, bytes.count)
                defer { start = end }
                // Files are grown ahead with zeros.
                if end - start == Self.blockCount, Self.isZero(bytes.baseAddress! + start) { continue }
                for offset in start..<min(end, bytes.count - Self.headCount + 1) {
                    let head = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                    guard flags[Self.slot(head)], let found = candidates[head] else { continue }
                    for pattern in found where matches(patterns[pattern], bytes, offset) { counts[pattern] += 1 }
                }
            }
        }
        return counts
    }

    private static let blockCount = 4096
    private static let zeros = [UInt8](repeating: 0, count: blockCount)

    private static func isZero(_ block: UnsafeRawPointer) -> Bool {
        zeros.withUnsafeBytes { memcmp(block, $0.baseAddress!, blockCount) == 0 }
    }

    /// The same for a file, which is mapped into memory.
    package func counts(inFile path: String) throws -> (counts: [Int], byteCount: Int) {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        return (data.withUnsafeBytes { counts(in: $0) }, data.count)
    }

    @inline(__always)
    private static func slot(_ head: UInt32) -> Int { Int((head &* 0x9E37_79B1) >> 16) }

    private func matches(_ pattern: [UInt8], _ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Bool {
        guard offset + pattern.count <= bytes.count else { return false }
        return bytes[offset..<(offset + pattern.count)].elementsEqual(pattern)
    }
}
