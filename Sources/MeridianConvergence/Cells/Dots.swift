import MeridianCore

/// Something that one write has made, and that another write which has seen it can take away.
protocol Dotted: Equatable {
    var dot: Dot { get }
}

/// The rule by which sets of dotted things come together (Bieniusa et al., "An optimized conflict-free replicated set",
/// 2012): what both sides have stays; what one side has alone stays if the other has not seen it, for else it has let
/// go of it.
///
/// A side is thus two sets that only grow, the writes it has seen and those of them it has let go of, and the merge is
/// the union of both: commutative, associative and idempotent for any two states, reachable or not. That is why letting
/// go need not be a write of its own.
enum Dots {
    static func merged<Element: Dotted>(
        _ mine: [Element], _ others: [Element], seen: VersionVector, otherSeen: VersionVector
    ) -> [Element] {
        if mine == others { return mine }
        return mine.filter { !otherSeen.contains($0.dot) || others.contains($0) }
            + others.filter { !seen.contains($0.dot) }
    }
}
