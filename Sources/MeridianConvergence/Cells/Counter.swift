import MeridianCore

/// A number that copies add to and take from (PN-Counter, Shapiro et al. 2011): each origin has a *share*, the sum of
/// all that it has added and taken. A grow-only counter is one that nobody takes from.
///
/// A row that is made anew counts from nothing. Its writer *cancels* of each other origin's share what it has seen of
/// it, so what such an origin adds meanwhile, knowing nothing of that, still counts, and nothing else of its share
/// does.
///
/// Shares and cancellations are named by the write that made them, and stay until a write that has seen them replaces
/// them, or a deletion that all copies have lets go of them (`Record.strip`). So a counter is a set of dots with what
/// each stands for, merged like any other (`Dots.merged`): a lattice, whatever was stripped. Sums are of 128 bits: no
/// number of writes wraps them.
package struct Counter: Hashable, Sendable {
    package struct Share: Hashable, Sendable, Dotted {
        /// The origin, and its latest write of the counter.
        package var dot: Dot
        /// Its write from which it counts: a later one than before a row was made anew.
        package var start: UInt64
        package var sum: Int128
    }

    /// What somebody has taken out of another origin's share.
    package struct Cancellation: Hashable, Sendable, Dotted {
        package var dot: Dot
        /// The last write of the share that it is about.
        package var target: Dot
        package var sum: Int128
    }

    /// Sorted by dot; of each origin at most one.
    package private(set) var shares: [Share] = []
    /// Sorted by dot, then by target.
    package private(set) var cancellations: [Cancellation] = []

    package init() {}
    init(shares: [Share], cancellations: [Cancellation]) {
        self.shares = shares
        self.cancellations = cancellations
    }

    /// What all origins together amount to.
    package var sum: Int128 { shares.reduce(0) { $0 + amount(of: $1) } }

    /// What readers are shown: the sum, or the nearest number that a column can hold.
    package var value: Int64 { Int64(clamping: sum) }

    /// Whether the sum is more, or less, than a column can hold.
    package var isSaturated: Bool { Int64(exactly: sum) == nil }

    private func amount(of share: Share) -> Int128 {
        share.sum - (cancellation(of: share)?.sum ?? 0)
    }

    /// The latest that is about this count of the share, and not about an earlier one.
    private func cancellation(of share: Share) -> Cancellation? {
        cancellations.filter {
            $0.target.origin == share.dot.origin && (share.start...share.dot.counter).contains($0.target.counter)
        }.max { $0.target < $1.target }
    }

    mutating func add(_ amount: Int128, by dot: Dot) {
        guard amount != 0 else { return }
        let known = shares.first { $0.dot.origin == dot.origin }
        replaceShare(Share(dot: dot, start: known?.start ?? dot.counter, sum: (known?.sum ?? 0) + amount))
    }

    /// The row is made anew by somebody who has seen this.
    mutating func restart(at amount: Int128, by dot: Dot) {
        cancellations = shares.filter { $0.dot.origin != dot.origin }
            .map { Cancellation(dot: dot, target: $0.dot, sum: $0.sum) }
        replaceShare(Share(dot: dot, start: dot.counter, sum: amount))
    }

    private mutating func replaceShare(_ share: Share) {
        shares.removeAll { $0.dot.origin == share.dot.origin }
        shares.insert(share, at: shares.firstIndex { share.dot < $0.dot } ?? shares.count)
    }

    /// - Parameters:
    ///   - seen: what this side's row has seen.
    ///   - otherSeen: what the other's has.
    func merged(with other: Counter, seen: VersionVector, otherSeen: VersionVector) -> Counter {
        if self == other { return self }
        var merged = Counter(
            shares: Dots.merged(shares, other.shares, seen: seen, otherSeen: otherSeen).sorted { $0.dot < $1.dot },
            cancellations: Dots.merged(cancellations, other.cancellations, seen: seen, otherSeen: otherSeen)
                .sorted { ($0.dot, $0.target) < ($1.dot, $1.target) })
        if Planted.isOn(.countersAddUp) {
            for share in other.shares {
                guard let position = merged.shares.firstIndex(where: { $0.dot.origin == share.dot.origin }) else {
                    continue
                }
                merged.shares[position].sum += share.sum
            }
        }
        return merged
    }
}
