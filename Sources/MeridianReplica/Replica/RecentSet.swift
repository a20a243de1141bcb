import MeridianCore

/// A set that forgets. Each element is kept for as long as applied requests are remembered at least, and for twice as
/// long at most.
struct RecentSet<Element: Hashable & Sendable>: Sendable {
    private var young: Set<Element> = []
    private var old: Set<Element> = []
    private var nextTurn: Instant = .distantFuture

    private static var retentionNanoseconds: Int64 { 60_000_000_000 }

    mutating func insert(_ element: Element, at now: Instant) {
        if young.isEmpty, old.isEmpty { nextTurn = now.advanced(byNanoseconds: Self.retentionNanoseconds) }
        if now >= nextTurn {
            old = young
            young = []
            nextTurn = now.advanced(byNanoseconds: Self.retentionNanoseconds)
        }
        young.insert(element)
    }

    func contains(_ element: Element) -> Bool {
        if young.isEmpty, old.isEmpty { return false }
        return young.contains(element) || old.contains(element)
    }
}
