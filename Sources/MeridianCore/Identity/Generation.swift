/// One history of a range. The first lasts until a forced failover, which begins the next one from what a surviving
/// replica holds (docs/internals/failover.md).
///
/// A generation is a band of Raft terms: those of generation *g* are the ones from *g* · 2³² on. So nothing besides the
/// term has to be stored or sent to tell generations apart, every vote and message of an earlier generation counts as
/// old by the ordinary rules, and no log position occurs in two histories. The band's lowest term is nobody's: a
/// replica that enters it is *sealed*, it has left its generation and is not part of the next one yet.
package struct Generation: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }

    package static let first = Generation(0)
    package var next: Generation { Generation(rawValue + 1) }
    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
    package var description: String { "g\(rawValue)" }

    /// The term of a replica that has left the generations before this one.
    package var seal: Term { Term(UInt64(rawValue) << 32) }
}

extension Term {
    package var generation: Generation { Generation(UInt32(truncatingIfNeeded: rawValue >> 32)) }
    /// Whether nobody leads or votes in it.
    package var isSeal: Bool { self > .zero && self == generation.seal }
}
