import MeridianCore

/// The commits that a leaseholder was asked for as repeated ones, for as long as applied requests are remembered: a
/// first attempt that arrives after its repetition is none.
struct RepeatedRequests: Sendable {
    private var young: Set<RequestID> = []
    private var old: Set<RequestID> = []
    private var nextTurn: Instant = .distantFuture

    /// Each is kept for this long at least, and for twice as long at most.
    static let retentionNanoseconds: Int64 = 60_000_000_000

    mutating func insert(_ request: RequestID, at now: Instant) {
        if young.isEmpty, old.isEmpty { nextTurn = now.advanced(byNanoseconds: Self.retentionNanoseconds) }
        if now >= nextTurn {
            old = young
            young = []
            nextTurn = now.advanced(byNanoseconds: Self.retentionNanoseconds)
        }
        young.insert(request)
    }

    func contains(_ request: RequestID) -> Bool {
        if young.isEmpty, old.isEmpty { return false }
        return young.contains(request) || old.contains(request)
    }
}
