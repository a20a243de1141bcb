import MeridianCore

/// A fingerprint of a run: everything that happened goes into it, in order. Two runs of one seed have the same one, in
/// every process and on every machine; where they differ, something undecided has decided something.
struct EventHash {
    private(set) var value: UInt64 = 0x6D65_7269_6469_616E
    private(set) var count: UInt64 = 0

    @inline(__always)
    mutating func mix(_ word: UInt64) {
        value = (value ^ word) &* 0x9E37_79B9_7F4A_7C15
        value ^= value >> 29
    }

    /// An event of a kind at a time.
    @inline(__always)
    mutating func note(_ kind: UInt64, _ time: Int64, _ detail: UInt64) {
        count &+= 1
        mix(UInt64(bitPattern: time) ^ (kind << 56))
        mix(detail)
    }

    var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
