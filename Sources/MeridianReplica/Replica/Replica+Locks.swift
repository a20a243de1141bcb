import MeridianConsensus
import MeridianCore
import MeridianPlacement
import MeridianTransactions

/// Who has to wait for a transaction that runs again (`LockTable`), before any latch is taken.
extension Replica {
    /// Whether a commit, or a part of one, can go on. If not, it is taken up again when an older transaction's locks
    /// go.
    mutating func isAdmitted(
        _ request: RangeRequest, from gateway: NodeID, _ owner: RequestID, _ priority: TransactionPriority?,
        _ claim: @autoclosure () -> LockTable.Claim, at now: Moment, _ effects: inout StepEffects
    ) -> Bool {
        guard serving?.locks.isEmpty == false, var serving else { return true }
        let (isAdmitted, hasWounded) = serving.locks.admit(owner, priority, claim())
        if !isAdmitted {
            // A copy of it may wait already.
            serving.blocked.removeAll { $0.addressed.request.id == request.id && $0.addressed.from == gateway }
            serving.blocked.append(Blocked(priority: priority, addressed: Addressed(request: request, from: gateway)))
        }
        self.serving = serving
        if hasWounded { unblock(at: now, &effects) }
        return isAdmitted
    }

    mutating func begin(
        _ lock: LockRequest, _ request: RangeRequest, _ address: ReplyAddress, at now: Moment,
        _ effects: inout StepEffects
    ) {
        guard isAdmitted(request, from: address.node, lock.owner, lock.priority, lock.claim, at: now, &effects) else {
            return
        }
        // After this nobody commits a change of it, but one may be on its way: whoever reads next waits for that.
        serving?.locks.lock(
            lock.owner, lock.priority, lock.claim, until: now.instant.advanced(byNanoseconds: Self.lockNanoseconds))
        noteTransactionLook(at: now)
        // A younger transaction that has prepared here may wait elsewhere for this one's locks.
        if let latched = serving?.latches.conflicts(
            exclusive: lock.claim.exclusive, shared: lock.claim.shared, spans: lock.claim.spans)
        {
            woundYounger(than: lock.priority, latched, at: now, &effects)
        }
        effects.reply(.locked, to: address, range: descriptor.id)
    }

    /// A transaction's locks go: it has what it wanted, or was given up.
    mutating func unlock(_ owner: RequestID, at now: Moment, _ effects: inout StepEffects) {
        guard serving?.locks.release(owner) == true else { return }
        unblock(at: now, &effects)
    }

    mutating func expireLocks(at now: Moment, _ effects: inout StepEffects) {
        guard serving?.locks.expire(at: now.instant) == true else { return }
        unblock(at: now, &effects)
    }

    /// Takes up what waited for locks, the oldest first.
    private mutating func unblock(at now: Moment, _ effects: inout StepEffects) {
        guard let blocked = serving?.blocked, !blocked.isEmpty else { return }
        serving?.blocked = []
        let inOrder = blocked.enumerated().sorted { first, second in
            switch (first.element.priority, second.element.priority) {
            case (let one?, let other?): (one, first.offset) < (other, second.offset)
            case (.some, .none): true
            case (.none, .some): false
            case (.none, .none): first.offset < second.offset
            }
        }
        for (_, waiting) in inOrder {
            receive(waiting.addressed.request, from: waiting.addressed.from, at: now, &effects)
        }
    }

    /// Longer than an attempt over any distance takes.
    private static var lockNanoseconds: Int64 { 5_000_000_000 }
}

/// A request that waits for an older transaction's locks.
struct Blocked: Sendable {
    var priority: TransactionPriority?
    var addressed: Addressed
}
