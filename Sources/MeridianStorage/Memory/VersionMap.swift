import MeridianCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// All versions of all rows, ordered by key: a sorted array of sorted arrays, so that an insertion moves little, and a
/// value, so that a copy of it is a consistent picture at no cost.
struct VersionMap: Sendable {
    /// Keys in a leaf, at most.
    static let leafCapacity = 128

    /// Not empty. Sorted by key.
    private var leaves: [Leaf] = []

    struct Leaf: Sendable {
        var keys: [Key]
        /// Each not empty, the oldest version first.
        var chains: [[Version]]
    }

    /// Where a key is or would be.
    private func position(of key: Key) -> (leaf: Int, slot: Int, isThere: Bool) {
        var low = 0
        var high = leaves.count
        while low < high {
            let middle = (low + high) / 2
            if !key.precedes(leaves[middle].keys[0]) { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return (0, 0, false) }
        let slot = leaves[low - 1].keys.lowerBound(of: key)
        let isThere = slot < leaves[low - 1].keys.count && leaves[low - 1].keys[slot].bytes == key.bytes
        return (low - 1, slot, isThere)
    }

    var isEmpty: Bool { leaves.isEmpty }

    /// The newest version at or below `timestamp`.
    func version(of key: Key, at timestamp: Timestamp) -> Version? {
        let (leaf, slot, isThere) = position(of: key)
        return isThere ? leaves[leaf].chains[slot].visible(at: timestamp).map { leaves[leaf].chains[slot][$0] } : nil
    }

    /// Adds a version, or replaces the one of the same timestamp.
    /// - Returns: what it replaced.
    @discardableResult
    mutating func insert(_ version: Version, for key: Key) -> Version? {
        let (leaf, slot, isThere) = position(of: key)
        if isThere {
            return leaves[leaf].chains[slot].insert(version)
        } else if leaves.isEmpty {
            leaves.append(Leaf(keys: [key], chains: [[version]]))
        } else {
            leaves[leaf].keys.insert(key, at: slot)
            leaves[leaf].chains.insert([version], at: slot)
            if leaves[leaf].keys.count > Self.leafCapacity { split(leaf) }
        }
        return nil
    }

    private mutating func split(_ leaf: Int) {
        let half = leaves[leaf].keys.count / 2
        let upper = Leaf(keys: Array(leaves[leaf].keys[half...]), chains: Array(leaves[leaf].chains[half...]))
        leaves[leaf].keys.removeSubrange(half...)
        leaves[leaf].chains.removeSubrange(half...)
        leaves.insert(upper, at: leaf + 1)
    }

    /// Visits the keys of the span in order until the visitor returns false.
    func visit(_ span: KeySpan, _ visitor: (Key, [Version]) throws -> Bool) rethrows {
        var (leaf, slot, _) = position(of: span.lower)
        while leaf < leaves.count {
            while slot < leaves[leaf].keys.count {
                let key = leaves[leaf].keys[slot]
                if let upper = span.upper, !key.precedes(upper) { return }
                if try !visitor(key, leaves[leaf].chains[slot]) { return }
                slot += 1
            }
            leaf += 1
            slot = 0
        }
    }

    /// The newest timestamp of all versions in the span.
    func latestTimestamp(in span: KeySpan) -> Timestamp? {
        var latest: Timestamp?
        visit(span) { _, chain in
            let newest = chain[chain.count - 1].timestamp
            latest = max(latest ?? newest, newest)
            return true
        }
        return latest
    }

    /// Steps through a span of the map as it was when the cursor was made.
    struct Cursor {
        private let leaves: [Leaf]
        private let upper: Key?
        private var leaf: Int
        private var slot: Int

        init(_ map: VersionMap, _ span: KeySpan) {
            leaves = map.leaves
            upper = span.upper
            let position = map.position(of: span.lower)
            (leaf, slot) = (position.leaf, position.slot)
            settle()
        }

        var current: (key: Key, chain: [Version])? {
            guard leaf < leaves.count else { return nil }
            let key = leaves[leaf].keys[slot]
            if let upper, !key.precedes(upper) { return nil }
            return (key, leaves[leaf].chains[slot])
        }

        mutating func advance() {
            slot += 1
            settle()
        }

        private mutating func settle() {
            if leaf < leaves.count, slot >= leaves[leaf].keys.count {
                leaf += 1
                slot = 0
            }
        }
    }

    /// Replaces the chain of a key that is there by a part of it; an empty chain removes the key.
    /// - Returns: the versions that are gone.
    @discardableResult
    mutating func replaceChain(of key: Key, by chain: [Version]) -> [Version] {
        let (leaf, slot, isThere) = position(of: key)
        precondition(isThere, "no \(key) to replace")
        let kept = Set(chain.map(\.timestamp))
        let gone = leaves[leaf].chains[slot].filter { !kept.contains($0.timestamp) }
        if !chain.isEmpty {
            leaves[leaf].chains[slot] = chain
            return gone
        }
        leaves[leaf].keys.remove(at: slot)
        leaves[leaf].chains.remove(at: slot)
        if leaves[leaf].keys.isEmpty { leaves.remove(at: leaf) }
        return gone
    }

    /// Removes the versions of a key at or below a timestamp.
    /// - Returns: those.
    @discardableResult
    mutating func erase(_ key: Key, through timestamp: Timestamp) -> [Version] {
        let (leaf, slot, isThere) = position(of: key)
        guard isThere else { return [] }
        return replaceChain(of: key, by: leaves[leaf].chains[slot].filter { $0.timestamp > timestamp })
    }

    mutating func removeAll(in span: KeySpan) {
        var keys: [Key] = []
        visit(span) { key, _ in
            keys.append(key)
            return true
        }
        for key in keys { replaceChain(of: key, by: []) }
    }
}

extension Key {
    /// The keys' order by the C library: the standard library compares byte for byte.
    @inline(__always)
    fileprivate func precedes(_ other: Key) -> Bool {
        bytes.withUnsafeBytes { mine in
            other.bytes.withUnsafeBytes { theirs in
                let count = Swift.min(mine.count, theirs.count)
                let order = count == 0 ? 0 : memcmp(mine.baseAddress!, theirs.baseAddress!, count)
                return order == 0 ? mine.count < theirs.count : order < 0
            }
        }
    }
}

extension [Key] {
    /// The first slot whose key is not below `key`.
    fileprivate func lowerBound(of key: Key) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].precedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension [Version] {
    /// The slot of the newest version at or below `timestamp`. The array is sorted, the oldest first.
    func visible(at timestamp: Timestamp) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].timestamp <= timestamp { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    /// - Returns: what it replaced.
    fileprivate mutating func insert(_ version: Version) -> Version? {
        guard let slot = visible(at: version.timestamp) else {
            insert(version, at: 0)
            return nil
        }
        guard self[slot].timestamp == version.timestamp else {
            insert(version, at: slot + 1)
            return nil
        }
        let replaced = self[slot]
        self[slot] = version
        return replaced
    }
}
