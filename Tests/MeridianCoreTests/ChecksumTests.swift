import MeridianCore
import Testing

/// CRC-32C against the vectors of RFC 3720 (appendix B.4) and against itself.
@Suite struct ChecksumTests {
    @Test func agreesWithThePublishedVectors() {
        #expect(Checksum.of([UInt8]("123456789".utf8)) == 0xE306_9283)
        #expect(Checksum.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(Checksum.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(Checksum.of([UInt8](0..<32)) == 0x46DD_794E)
        #expect(Checksum.of([UInt8]((0..<32).reversed())) == 0x113F_DB5C)
        #expect(Checksum.of([]) == 0)
    }

    @Test func doesNotDependOnHowTheBytesAreCut() {
        let bytes = (0..<100).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        for first in 0...bytes.count {
            for second in stride(from: first, through: bytes.count, by: 7) {
                var checksum = Checksum()
                checksum.combine(Array(bytes[..<first]))
                checksum.combine(Array(bytes[first..<second]))
                checksum.combine(Array(bytes[second...]))
                #expect(checksum.value == Checksum.of(bytes))
            }
        }
    }

    @Test func takesANumberAsItsLittleEndianBytes() {
        var checksum = Checksum()
        checksum.combine(0x0807_0605_0403_0201)
        #expect(checksum.value == Checksum.of([1, 2, 3, 4, 5, 6, 7, 8]))
    }

    @Test func findsEveryFlippedBit() {
        var bytes = (0..<64).map { UInt8(truncatingIfNeeded: $0 &* 91) }
        let whole = Checksum.of(bytes)
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(Checksum.of(bytes) != whole)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }
}
