import MeridianCore
import Testing

@testable import MeridianStorage

/// The bytes of an entry, and what hostile ones do: nothing but throw.
@Suite struct CodecTests {
    private func encode(_ entry: Entry, _ range: RangeID = RangeID(1)) -> [UInt8] {
        var writer = ByteWriter(capacity: 1)
        EntryCoding.encode(entry, of: range, to: &writer)
        return writer.array
    }

    private func decode(_ bytes: [UInt8], _ range: RangeID = RangeID(1)) throws -> Entry {
        try bytes.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            let entry = try EntryCoding.decode(of: range, from: &reader)
            try reader.expectEnd()
            return entry
        }
    }

    private let samples: [Entry] = [
        .empty(1), .command(7, term: 3), Entry(term: Term(1), index: LogIndex(2), payload: .membership(.sample)),
    ]

    @Test func theBytesOfAnEntryAreFixed() {
        #expect(
            encode(.empty(2, term: 1)) == [
                17, 0, 0, 0, 173, 131, 241, 83, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
            ])
    }

    @Test func entriesComeBackAsTheyWere() throws {
        for sample in samples { #expect(try decode(encode(sample)) == sample) }
    }

    @Test func anEntryOfAnotherRangeIsRefused() {
        for sample in samples { #expect(throws: ByteReader.Malformed.self) { try decode(encode(sample), RangeID(2)) } }
    }

    @Test func everyFlippedBitAndEveryTruncationIsRefused() {
        for sample in samples {
            let bytes = encode(sample)
            for bit in 0..<(bytes.count * 8) {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(throws: ByteReader.Malformed.self) { try decode(damaged) }
            }
            for count in 0..<bytes.count {
                #expect(throws: ByteReader.Malformed.self) { try decode(Array(bytes[..<count])) }
            }
        }
    }

    /// With a right checksum, so that the decoder itself must cope.
    @Test(arguments: 1...UInt64(4)) func hostileBytesNeverCrash(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<20_000 {
            var bytes = encode(samples[Int(random.below(3))])
            for _ in 0...random.below(3) {
                bytes[8 + Int(random.below(UInt64(bytes.count - 8)))] = UInt8(
                    random.below(4) == 0 ? 255 : random.below(256))
            }
            var checksum = Checksum()
            checksum.combine(RangeID(1).rawValue)
            checksum.combine(Array(bytes[8...]))
            withUnsafeBytes(of: checksum.value.littleEndian) { bytes.replaceSubrange(4..<8, with: $0) }
            _ = try? decode(bytes)
        }
    }

    @Test(arguments: 1...UInt64(2)) func hostileSnapshotsNeverCrash(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<20_000 {
            var bytes: [UInt8] = [1]
            for _ in 0..<random.below(60) {
                bytes.append(UInt8(random.below(3) == 0 ? random.below(256) : random.below(4)))
            }
            var decoder = SnapshotCoding.Decoder()
            bytes.withUnsafeBytes { bytes in
                _ = try? decoder.decode(bytes, version: { _, _, _ in }, outcome: { _ in })
            }
        }
    }
}
