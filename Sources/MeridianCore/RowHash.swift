/// A 64-bit hash that mixes eight bytes a step. Each piece counts with its length, so that where one piece ends and the
/// next begins matters.
package struct RowHash: Sendable {
    private var state: UInt64 = 0x243F_6A88_85A3_08D3

    package init() {}

    /// One word, without a length.
    package mutating func combine(_ word: UInt64) { mix(word) }

    package mutating func combine(_ bytes: UnsafeRawBufferPointer) {
        mix(UInt64(bytes.count))
        var offset = 0
        while offset + 8 <= bytes.count {
            mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        guard offset < bytes.count else { return }
        var rest: UInt64 = 0
        for (place, byte) in bytes[offset...].enumerated() { rest |= UInt64(byte) << UInt64(place * 8) }
        mix(rest)
    }

    /// Each step can be undone for a given word: words that differ leave states that differ.
    private mutating func mix(_ word: UInt64) {
        state = (state ^ word) &* 0x9E37_79B9_7F4A_7C15
        state ^= state >> 29
    }

    /// Spreads the last words over all bits.
    package var value: UInt64 {
        var mixed = state &* 0xC2B2_AE3D_27D4_EB4F
        mixed ^= mixed >> 32
        mixed = mixed &* 0x9E37_79B9_7F4A_7C15
        return mixed ^ mixed >> 31
    }

    var bucket: UInt8 { UInt8(truncatingIfNeeded: value >> 56) }
}
