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
    /// Equal lists have equal digests in every process, and others, in practice, have not. Each word is mixed as
    /// SplitMix64 mixes its state (Steele, Lea and Flood 2014).
    var digest: UInt64 {
        var hash = UInt64(count)
        func mix(_ word: UInt64) {
            var mixed = (hash ^ word) &+ 0x9E37_79B9_7F4A_7C15
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            hash = mixed ^ (mixed >> 31)
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
