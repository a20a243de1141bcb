import MeridianCore
import MeridianReplica
import MeridianTransactions
import Synchronization

/// The locks of a transaction that runs again: on what its last attempt touched, so that the next finds it as it reads
/// it (`LockTable`).
///
/// They are a courtesy between transactions. One that cannot be had in time, or is lost, changes nothing but the number
/// of attempts, so errors are passed over here.
struct TransactionLocks {
    private let database: Database
    private let owner: RequestID
    /// Where locks may be held.
    private var ranges: Set<RangeID> = []

    init(database: Database, owner: RequestID) {
        self.database = database
        self.owner = owner
    }

    /// Waits until nobody else can commit a change of any of it.
    mutating func acquire(
        _ footprint: [(range: RangeID, claim: LockTable.Claim)], priority: TransactionPriority, end: Instant
    ) async {
        ranges.formUnion(footprint.map(\.range))
        let (database, owner) = (database, owner)
        await withTaskGroup(of: Void.self) { group in
            for (range, claim) in footprint {
                let lock = LockRequest(owner: owner, priority: priority, claim: claim)
                group.addTask { _ = try? await database.call(range, .request(.lock(lock)), end: end) }
            }
        }
    }

    /// Gives up what is left of them.
    /// - Parameter committed: the ranges of a commit, which has given up its own locks on the way.
    mutating func release(committed: Set<RangeID> = [], end: Instant) async {
        let all = ranges.subtracting(committed).sorted()
        ranges = []
        guard !all.isEmpty else { return }
        let (database, owner) = (database, owner)
        let soon = min(end, database.host.deadline(after: .seconds(1)))
        await withTaskGroup(of: Void.self) { group in
            for range in all {
                group.addTask { _ = try? await database.call(range, .request(.unlock(owner)), end: soon) }
            }
        }
    }
}

extension Transaction {
    /// What this attempt has read and written.
    var footprint: [(range: RangeID, claim: LockTable.Claim)] { buffer.withLock(\.footprint) }

    /// The ranges that its commit went to.
    var committedRanges: Set<RangeID> {
        buffer.withLock { $0.firstWritten == nil ? [] : Set($0.parts.map(\.range)) }
    }
}
