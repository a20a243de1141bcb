import MeridianCore

/// Looks at a write-ahead log before SQLite does, for damage that SQLite would take for the end.
///
/// SQLite reads a log up to the first frame whose checksum does not fit, because that is what a crash in the middle of
/// a write leaves. A flipped bit looks the same, and SQLite then drops every commit from there on without a word: votes
/// and acknowledged entries. The two can be told apart when commits are synced one by one, as those of `log.sqlite`
/// are: a frame of a later commit is written only when all earlier commits are on the disk. So a bad frame behind which
/// a commit ends and another goes on was whole once, and has been damaged since.
///
/// What remains undetected is damage to the very last commit, which cannot be told from a crash while it was written.
///
/// The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
struct WriteAheadLogCheck {
    private static let headerByteCount = 32
    private static let frameHeaderByteCount = 24

    private let bytes: [UInt8]

    /// The log's length in bytes; zero if there is none.
    var byteCount: Int { bytes.count }

    /// - Parameter contents: the whole log, a few megabytes, as its owner checkpoints before it grows; `nil` if there
    ///   is none.
    init(_ contents: [UInt8]?) { bytes = contents ?? [] }

    /// - Throws: `MeridianError` with `.corruption`.
    func verify() throws {
        guard bytes.count >= Self.headerByteCount, bytes[..<Self.headerByteCount].contains(where: { $0 != 0 }) else {
            return
        }
        let isBigEndian = word(0) == 0x377F_0683
        let pageByteCount = Int(word(8))
        var sum = Sum()
        sum.add(bytes, 0..<24, isBigEndian: isBigEndian)
        guard isBigEndian || word(0) == 0x377F_0682, pageByteCount >= 512, pageByteCount <= 65536,
            sum == Sum(word(24), word(28))
        else { throw MeridianError(.corruption, "log.sqlite-wal: the header is damaged") }

        let frameByteCount = Self.frameHeaderByteCount + pageByteCount
        let frames = (bytes.count - Self.headerByteCount) / frameByteCount
        /// The checksum that a frame has, if the one before it had `previous`.
        func checksum(_ frame: Int, after previous: Sum) -> Sum {
            let start = Self.headerByteCount + frame * frameByteCount
            var sum = previous
            sum.add(bytes, start..<(start + 8), isBigEndian: isBigEndian)
            sum.add(bytes, (start + Self.frameHeaderByteCount)..<(start + frameByteCount), isBigEndian: isBigEndian)
            return sum
        }
        func header(_ frame: Int) -> (isOfThisTurn: Bool, isCommit: Bool, sum: Sum) {
            let start = Self.headerByteCount + frame * frameByteCount
            let isOfThisTurn = word(start + 8) == word(16) && word(start + 12) == word(20)
            return (isOfThisTurn, word(start + 4) != 0, Sum(word(start + 16), word(start + 20)))
        }
        var frame = 0
        while frame < frames, header(frame).isOfThisTurn {
            let next = checksum(frame, after: sum)
            guard next == header(frame).sum else { break }
            sum = next
            frame += 1
        }
        // Here SQLite stops. A frame that continues a commit proves that it should not: the commit was synced before.
        let end = frame
        var hasCommit = false
        /// Whether the frame's words can be trusted. The damaged frame's can: the sector where it begins also holds the
        /// end of the frame before it, which is whole. Those of later frames only if their checksums fit: a crash can
        /// leave the first words of an earlier turn's frame before the rest of a new one.
        var isWhole = true
        while frame + 1 < frames {
            hasCommit = hasCommit || (isWhole && header(frame).isOfThisTurn && header(frame).isCommit)
            // What the damaged frame's checksum was is either written in it or, if that was hit, can be computed.
            let seeds = [header(frame).sum] + (frame == end ? [checksum(frame, after: sum)] : [])
            let next = header(frame + 1)
            isWhole = next.isOfThisTurn && seeds.contains { checksum(frame + 1, after: $0) == next.sum }
            if hasCommit, isWhole {
                throw MeridianError(.corruption, "log.sqlite-wal: frame \(end) is damaged")
            }
            frame += 1
        }
    }

    private func word(_ offset: Int) -> UInt32 {
        bytes.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    }
}

extension WriteAheadLogCheck {
    /// SQLite's checksum: two sums over pairs of words.
    fileprivate struct Sum: Equatable {
        var first: UInt32 = 0
        var second: UInt32 = 0

        init() {}
        init(_ first: UInt32, _ second: UInt32) { (self.first, self.second) = (first, second) }

        mutating func add(_ bytes: [UInt8], _ part: Range<Int>, isBigEndian: Bool) {
            bytes.withUnsafeBytes { bytes in
                for offset in stride(from: part.lowerBound, to: part.upperBound, by: 8) {
                    let left = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                    let right = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                    first &+= (isBigEndian ? UInt32(bigEndian: left) : UInt32(littleEndian: left)) &+ second
                    second &+= (isBigEndian ? UInt32(bigEndian: right) : UInt32(littleEndian: right)) &+ first
                }
            }
        }
    }
}
