import MeridianCore

/// One copy of a table: where writes come from. Numbers are given out once and never again, not even to the copy that
/// takes the place of one that was lost, so that no two writes ever have the same dot.
package struct Origin: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }

    package static func < (lhs: Origin, rhs: Origin) -> Bool { lhs.rawValue < rhs.rawValue }
    package var description: String { "o\(rawValue)" }
}

/// One write of one row: the copy that took it, and a number that rises by one with each of that row (Preguiça et al.,
/// "Dotted version vectors", 2010).
///
/// A copy's first write of a row, as far as the row tells, has the time as its number, in microseconds, and not 1: a
/// deletion that the copy has forgotten may be remembered elsewhere, and what it has seen must not contain a write that
/// comes after it.
package struct Dot: Hashable, Comparable, Sendable {
    package var origin: Origin
    /// Above 0.
    package var counter: UInt64

    package init(_ origin: Origin, _ counter: UInt64) {
        self.origin = origin
        self.counter = counter
    }

    package static func < (lhs: Dot, rhs: Dot) -> Bool {
        (lhs.origin, lhs.counter) < (rhs.origin, rhs.counter)
    }
}

/// When a write happened, for those who must choose: a hybrid logical clock's reading, then the dot, so that no two
/// writes of a row are equal. Whoever has seen a write stamps above it, however wrong the clocks.
package struct WriteStamp: Hashable, Comparable, Sendable {
    package var time: Timestamp
    package var dot: Dot

    package init(time: Timestamp, dot: Dot) {
        self.time = time
        self.dot = dot
    }

    package static func < (lhs: WriteStamp, rhs: WriteStamp) -> Bool { (lhs.time, lhs.dot) < (rhs.time, rhs.dot) }
}

/// Which writes of a row have been seen: all of each origin's up to a number. Copies ship rows whole, and a row's
/// writes of one origin are seen in order, so no gaps have to be kept.
package struct VersionVector: Hashable, Sendable {
    /// Sorted by origin, each once, no zeros.
    package private(set) var entries: [Dot] = []

    package init() {}

    /// Precondition: sorted by origin, each once, no zeros.
    init(sorted entries: [Dot]) { self.entries = entries }

    package subscript(origin: Origin) -> UInt64 {
        for entry in entries where entry.origin == origin { return entry.counter }
        return 0
    }

    package func contains(_ dot: Dot) -> Bool { self[dot.origin] >= dot.counter }

    /// Whether all that the other has seen has been seen here.
    package func covers(_ other: VersionVector) -> Bool { other.entries.allSatisfy(contains) }

    /// Notes a write and returns its dot.
    /// - Parameter first: the number of the origin's first write.
    mutating func next(of origin: Origin, first: UInt64 = 1) -> Dot {
        let last = self[origin]
        let dot = Dot(origin, last == 0 ? first : last + 1)
        note(dot)
        return dot
    }

    private mutating func note(_ dot: Dot) {
        guard let position = entries.firstIndex(where: { $0.origin >= dot.origin }) else { return entries.append(dot) }
        if entries[position].origin == dot.origin {
            entries[position].counter = max(entries[position].counter, dot.counter)
        } else {
            entries.insert(dot, at: position)
        }
    }

    mutating func merge(_ other: VersionVector) {
        for dot in other.entries { note(dot) }
    }
}
