import MeridianCore

/// Columns of which every write is kept until somebody who has seen it writes again: a multi-value register with dotted
/// version vectors (Riak's siblings). More than one value means that copies have written at the same time, and that the
/// application is to say what holds.
package struct SiblingSet: Hashable, Sendable {
    package struct Sibling: Hashable, Sendable, Dotted {
        package var content: [Value]
        package var stamp: WriteStamp
        /// What the write has replaced, if that was one value: the common ancestor for a merge.
        package var base: Base?
        var dot: Dot { stamp.dot }
    }

    package struct Base: Hashable, Sendable {
        package var dot: Dot
        package var content: [Value]
    }

    /// Sorted by stamp, the latest last; at least one in a row that is there.
    package private(set) var siblings: [Sibling] = []

    package init() {}
    init(sorted siblings: [Sibling]) { self.siblings = siblings }

    /// Replaces all that is there, which its writer has seen.
    mutating func set(_ content: [Value], _ stamp: WriteStamp, keepsBase: Bool) {
        var base: Base?
        if keepsBase, siblings.count == 1 { base = Base(dot: siblings[0].stamp.dot, content: siblings[0].content) }
        siblings = [Sibling(content: content, stamp: stamp, base: base)]
    }

    /// What all siblings go back to; `nil` when that is not one known value.
    package var ancestor: [Value]? {
        guard let base = siblings.first?.base, siblings.allSatisfy({ $0.base?.dot == base.dot }) else { return nil }
        return base.content
    }

    func merged(with other: SiblingSet, seen: VersionVector, otherSeen: VersionVector) -> SiblingSet {
        if siblings == other.siblings { return self }
        let all = Dots.merged(siblings, other.siblings, seen: seen, otherSeen: otherSeen)
            .sorted { $0.stamp < $1.stamp }
        return SiblingSet(sorted: Planted.isOn(.siblingsOverwritten) ? Array(all.suffix(1)) : all)
    }
}
