import MeridianCore

/// What a set holds: the bytes of one element of a JSON array (`SetText`).
package typealias SetElement = [UInt8]

/// A set whose elements come and go (OR-Set): an element that is added in one copy while another removes it stays,
/// because a removal takes only the additions that it has seen. Removed elements leave nothing behind: that they were
/// seen stands in the row's version vector (Bieniusa et al., "An optimized conflict-free replicated set", 2012).
/// A grow-only set (G-Set) is one from which nobody removes, except by making a deleted row anew.
package struct AddWinsSet: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package var element: SetElement
        /// The additions that hold it, sorted; at least one.
        package var dots: [Dot]
    }

    /// Sorted by element, each once.
    package private(set) var members: [Member] = []

    package init() {}
    init(sorted members: [Member]) { self.members = members }

    package var elements: [SetElement] { members.map(\.element) }

    /// Makes the set hold these elements and no others. What is there already keeps its additions; but if the row was
    /// not there, all of it is added now, and stays if another copy removes what it had seen before.
    /// - Parameter elements: sorted, each once.
    mutating func set(_ elements: [SetElement], _ dot: Dot, wasAlive: Bool) {
        var known: [SetElement: [Dot]] = [:]
        if wasAlive { for member in members { known[member.element] = member.dots } }
        members = elements.map { Member(element: $0, dots: known[$0] ?? [dot]) }
    }

    /// - Parameters:
    ///   - seen: what this side's row has seen.
    ///   - otherSeen: what the other's has.
    func merged(with other: AddWinsSet, seen: VersionVector, otherSeen: VersionVector) -> AddWinsSet {
        if members == other.members { return self }
        var merged: [Member] = []
        merged.reserveCapacity(max(members.count, other.members.count))
        func keep(_ element: SetElement, _ dots: [Dot], _ others: [Dot]) {
            if dots == others { return merged.append(Member(element: element, dots: dots)) }
            let takesAll = Planted.isOn(.removalTakesUnseen) && (dots.isEmpty || others.isEmpty)
            let mine = dots.filter { others.contains($0) || !otherSeen.contains($0) && !takesAll }
            let theirs = others.filter { !dots.contains($0) && !seen.contains($0) && !takesAll }
            let kept = theirs.isEmpty ? mine : (mine + theirs).sorted()
            if !kept.isEmpty { merged.append(Member(element: element, dots: kept)) }
        }
        var (left, right) = (members[...], other.members[...])
        while let first = left.first, let second = right.first {
            if first.element == second.element {
                keep(first.element, first.dots, second.dots)
                left.removeFirst()
                right.removeFirst()
            } else if first.element.lexicographicallyPrecedes(second.element) {
                keep(first.element, first.dots, [])
                left.removeFirst()
            } else {
                keep(second.element, [], second.dots)
                right.removeFirst()
            }
        }
        for member in left { keep(member.element, member.dots, []) }
        for member in right { keep(member.element, [], member.dots) }
        return AddWinsSet(sorted: merged)
    }
}
