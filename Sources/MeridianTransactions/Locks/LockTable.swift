import MeridianCore

/// The locks that transactions hold at one leaseholder, so that one which has lost a race is not made to lose again.
///
/// A transaction runs optimistically at first: it reads a snapshot, and its commit checks that nobody has written since
/// what it read. When it has to run again, it first locks what the attempt before has touched. Nobody else can commit a
/// change of that until it is done, so the second attempt passes the check unless it touches something new.
///
/// Locks only say who has to wait. What makes a commit correct is the check, under latches (`Latches`): a lock that is
/// lost, because the leadership moves, its time runs out or an older transaction takes it, costs another attempt and
/// nothing else. So locks are not replicated, and no client's silence holds a row for ever.
///
/// - Keys are locked shared or exclusively, spans shared (against phantoms: what is inserted into them has to wait).
/// - Wound-wait: an older transaction takes a younger one's locks away; a younger one waits. Waits lead from younger to
///   older only, so they never form a circle.
package struct LockTable: Sendable {
    package struct Claim: Hashable, Sendable {
        package var exclusive: [Key]
        package var shared: [Key]
        package var spans: [KeySpan]

        package init(exclusive: [Key] = [], shared: [Key] = [], spans: [KeySpan] = []) {
            self.exclusive = exclusive
            self.shared = shared
            self.spans = spans
        }
    }

    private struct Holder: Sendable {
        var priority: TransactionPriority
        var claim: Claim
        var expires: Instant
    }

    private enum Mode: Sendable {
        case shared
        case exclusive
    }

    private var holders: [RequestID: Holder] = [:]
    /// Who holds a key, and how. A key that nobody holds is absent.
    private var keys: [Key: [RequestID: Mode]] = [:]

    package init() {}

    package var isEmpty: Bool { holders.isEmpty }

    /// Whether a transaction may go on with what it wants, taking the locks of younger ones away; if not, it has to
    /// wait for an older one.
    /// - Parameters:
    ///   - owner: whose own locks do not hold it up.
    ///   - priority: `nil` for a commit that is no transaction of a client's: it waits for everybody.
    /// - Returns: whether it may go on, and whether locks were taken away.
    package mutating func admit(
        _ owner: RequestID, _ priority: TransactionPriority?, _ claim: Claim
    ) -> (isAdmitted: Bool, hasWounded: Bool) {
        guard !holders.isEmpty else { return (true, false) }
        let others = conflicts(of: owner, with: claim)
        for other in others {
            guard let priority, let holder = holders[other], priority < holder.priority else { return (false, false) }
        }
        for other in others { release(other) }
        return (true, !others.isEmpty)
    }

    /// Locks what a transaction wants, in the place of what it held. The caller has seen to it that nobody else's locks
    /// are in the way (`admit`).
    package mutating func lock(
        _ owner: RequestID, _ priority: TransactionPriority, _ claim: Claim, until expires: Instant
    ) {
        release(owner)
        holders[owner] = Holder(priority: priority, claim: claim, expires: expires)
        for key in claim.shared { keys[key, default: [:]][owner] = .shared }
        for key in claim.exclusive { keys[key, default: [:]][owner] = .exclusive }
    }

    /// - Returns: whether it held any.
    @discardableResult
    package mutating func release(_ owner: RequestID) -> Bool {
        guard let holder = holders.removeValue(forKey: owner) else { return false }
        for key in holder.claim.shared + holder.claim.exclusive {
            keys[key]?[owner] = nil
            if keys[key]?.isEmpty == true { keys[key] = nil }
        }
        return true
    }

    /// Takes back the locks whose time is up.
    /// - Returns: whether there were any.
    package mutating func expire(at now: Instant) -> Bool {
        let expired = holders.filter { $0.value.expires <= now }.keys
        for owner in expired { release(owner) }
        return !expired.isEmpty
    }

    /// Who else holds what cannot be held together with a claim.
    private func conflicts(of owner: RequestID, with claim: Claim) -> Set<RequestID> {
        var found: Set<RequestID> = []
        for key in claim.exclusive {
            for other in keys[key]?.keys ?? [:].keys where other != owner { found.insert(other) }
        }
        for key in claim.shared {
            for (other, mode) in keys[key] ?? [:] where other != owner && mode == .exclusive { found.insert(other) }
        }
        for (other, holder) in holders where other != owner && !found.contains(other) {
            let isInserted =
                !holder.claim.spans.isEmpty
                && claim.exclusive.contains { key in
                    holder.claim.spans.contains { $0.contains(key) }
                }
            let isWritten =
                !claim.spans.isEmpty
                && holder.claim.exclusive.contains { key in
                    claim.spans.contains { $0.contains(key) }
                }
            if isInserted || isWritten { found.insert(other) }
        }
        return found
    }
}
