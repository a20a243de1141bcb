import MeridianCore

/// A number that copies add to and take from (PN-Counter, Shapiro et al. 2011): how much each origin has added and
/// taken in all. A grow-only counter is one that nobody takes from.
package struct Counter: Hashable, Sendable {
    package struct Share: Hashable, Sendable {
        package var origin: Origin
        package var added: UInt64
        package var taken: UInt64

        package init(origin: Origin, added: UInt64, taken: UInt64) {
            self.origin = origin
            self.added = added
            self.taken = taken
        }
    }

    /// Sorted by origin, each once.
    package private(set) var shares: [Share] = []

    package init() {}
    init(sorted shares: [Share]) { self.shares = shares }

    /// What all origins together amount to. Wraps where 64 bits do not suffice, alike in every copy.
    package var value: Int64 {
        shares.reduce(0) { sum, share in
            sum &+ Int64(bitPattern: share.added) &- Int64(bitPattern: share.taken)
        }
    }

    mutating func add(_ amount: Int64, by origin: Origin) {
        guard amount != 0 else { return }
        let position = shares.firstIndex { $0.origin >= origin } ?? shares.count
        if position == shares.count || shares[position].origin != origin {
            shares.insert(Share(origin: origin, added: 0, taken: 0), at: position)
        }
        if amount > 0 {
            shares[position].added &+= amount.magnitude
        } else {
            shares[position].taken &+= amount.magnitude
        }
    }

    /// Of each origin's share, the later: by what was seen of it and not by its size, which wraps in the end.
    /// - Parameters:
    ///   - seen: what this side's row has seen.
    ///   - otherSeen: what the other's has.
    func merged(with other: Counter, seen: VersionVector, otherSeen: VersionVector) -> Counter {
        if shares == other.shares { return self }
        var merged = self
        for share in other.shares {
            let position = merged.shares.firstIndex { $0.origin >= share.origin } ?? merged.shares.count
            if position == merged.shares.count || merged.shares[position].origin != share.origin {
                merged.shares.insert(share, at: position)
            } else if Planted.isOn(.countersAddUp) {
                merged.shares[position].added &+= share.added
            } else if otherSeen[share.origin] > seen[share.origin] {
                merged.shares[position] = share
            }
        }
        return merged
    }
}
