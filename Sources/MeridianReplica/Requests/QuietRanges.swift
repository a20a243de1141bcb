import MeridianCore

/// One node to another, for all ranges that the sender leads, in which both have a replica and which are quiescent: a
/// lease to promise, and what is closed. It stands for a heartbeat in each of them (`NodeCore+QuietRanges.swift`).
package struct QuietRanges: Hashable, Sendable {
    package struct Range: Hashable, Sendable {
        package var range: RangeID
        /// Where the sender's log ends, in the term that it leads.
        package var position: LogPosition
        package var term: Term
        /// The lease to promise, counted from `base`.
        package var leaseNanoseconds: Int64
    }

    /// Names the list of ranges by its contents.
    package var digest: UInt64
    /// `nil` when the receiver is known to have it.
    package var ranges: [Range]?
    /// The sender's `earliest`.
    package var base: Timestamp
    /// What the sender has closed in each of the ranges but those in `unclosed`.
    package var closed: Timestamp
    package var unclosed: [RangeID]
}

/// The promises were made, except for some ranges.
package struct QuietRangesReply: Hashable, Sendable {
    package var digest: UInt64
    package var base: Timestamp
    package var refused: [RangeID]
    /// The receiver does not have the list of this name.
    package var isUnknown: Bool
}

extension [QuietRanges.Range] {
    /// FNV-1a over the words: equal lists have equal digests in every process, and others, in practice, have not.
    var digest: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ word: UInt64) {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                hash = (hash ^ (word >> shift & 0xFF)) &* 0x100_0000_01B3
            }
        }
        for range in self {
            mix(range.range.rawValue)
            mix(range.position.term.rawValue)
            mix(range.position.index.rawValue)
            mix(range.term.rawValue)
            mix(UInt64(bitPattern: range.leaseNanoseconds))
        }
        return hash
    }
}
