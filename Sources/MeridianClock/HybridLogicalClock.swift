import MeridianCore

/// A point in the order of a hybrid logical clock: physical nanoseconds, then a counter.
package struct HybridTimestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let physical: Timestamp
    package let logical: UInt32

    package init(physical: Timestamp, logical: UInt32) {
        self.physical = physical
        self.logical = logical
    }

    package static let zero = HybridTimestamp(physical: .zero, logical: 0)

    /// The next one, with the physical part unchanged while the counter lasts.
    package var next: HybridTimestamp {
        logical == .max
            ? HybridTimestamp(physical: physical.next, logical: 0)
            : HybridTimestamp(physical: physical, logical: logical + 1)
    }

    package static func < (lhs: HybridTimestamp, rhs: HybridTimestamp) -> Bool {
        (lhs.physical, lhs.logical) < (rhs.physical, rhs.logical)
    }

    package var description: String { "\(physical.rawValue).\(logical)" }
}

/// A hybrid logical clock (Kulkarni et al. 2014): stamps that respect cause and effect and stay near the time. For
/// the modes that converge without consensus (DESIGN §10); commits of ranges use intervals instead.
///
/// Promises: every stamp is greater than all stamps given or taken in before it. It works under an unknown clock,
/// where it counts on logically.
///
/// HAZARD: the order of two writes that know nothing of each other is only as good as the clocks, so a "last" writer
/// may be the earlier one by up to the width of the intervals. A stamp from far in the future would drag all others
/// along for good, so `observe` refuses those beyond `maximumOffsetNanoseconds`.
package struct HybridLogicalClock: Sendable {
    package private(set) var last: HybridTimestamp
    package let maximumOffsetNanoseconds: Int64

    /// - Parameter last: the greatest stamp that was given before a restart.
    package init(last: HybridTimestamp = .zero, maximumOffsetNanoseconds: Int64 = 60_000_000_000) {
        precondition(maximumOffsetNanoseconds >= 0, "an offset of \(maximumOffsetNanoseconds) ns")
        self.last = last
        self.maximumOffsetNanoseconds = maximumOffsetNanoseconds
    }

    /// A stamp for an event of ours.
    package mutating func tick(at clock: ClockInterval) -> HybridTimestamp {
        if clock.isKnown, clock.latest > last.physical {
            last = HybridTimestamp(physical: clock.latest, logical: 0)
        } else {
            last = last.next
        }
        return last
    }

    /// A stamp for the receipt of a message that carries a stamp; `nil`, and nothing changes, when that one is too far
    /// in the future or the clock cannot tell.
    package mutating func observe(_ remote: HybridTimestamp, at clock: ClockInterval) -> HybridTimestamp? {
        if remote > last {
            let limit = clock.latest.advanced(byNanoseconds: maximumOffsetNanoseconds)
            guard clock.isKnown, remote.physical <= limit else { return nil }
            last = remote
        }
        return tick(at: clock)
    }
}
