import MeridianCore
import MeridianReplica
import Synchronization

/// The work on a node's applied rows that would hold up its steps, in order, and the rule of what may be applied beside
/// it.
///
/// Applying works in memory (docs/internals/storage.md) and costs about a microsecond a row, much less than a thread
/// hop, so the step thread applies by itself. It must not where
///
/// 1. **something that waits changes the same range**: rows that were queued, a chunk of a snapshot, a replica's
///    removal. Each range's changes reach the store in the order in which the core gave them. An older snapshot that
///    waited while newer rows were applied would take them back (the stores refuse that as well);
/// 2. **the work under way needs the store for itself**: an install, a slice of collection, a rewrite.
///
/// Then the batch queues behind. A checkpoint takes as long as the disk does, and rows are applied beside it.
///
/// Threads: `take` is the step thread's. `begin`, `perform` and `end` are called in turn by whoever does the work.
package final class StateQueue: Sendable {
    fileprivate enum Holder {
        case nobody
        case stepThread
        case worker
    }

    fileprivate struct Contents {
        var work: [StateWork] = []
        /// An item has begun and not ended.
        var isWorking = false
        var holder = Holder.nobody
        /// The worker has found that the step thread applies, and sleeps.
        var isAwaited = false
        /// How many changes of a range wait or are under way.
        var waiting: [RangeID: Int] = [:]
        var isCheckpointQueued = false
        var isCollectionQueued = false
        var isInspectionQueued = false
        var isInspectionOver = false
        var isClosed = false
    }

    package var store: any StateStore { worker.store }
    private let worker: StateWorker
    private let contents = Mutex(Contents())

    init(_ worker: StateWorker) { self.worker = worker }

    // MARK: The step thread

    /// Applies what may be applied at once, and queues the rest.
    /// - Returns: what was applied, what its rows add up to where that was asked, and whether the worker must
    ///   be woken.
    func take(
        _ effects: borrowing NodeEffects
    ) -> (applied: [AppliedConfirmation], reports: [DigestReport], isNews: Bool) {
        let isIdle = effects.applies.isEmpty && effects.snapshotReads.isEmpty && effects.snapshotWrites.isEmpty
        guard !isIdle || !effects.salvages.isEmpty else { return ([], [], false) }
        var queued: [ApplyBatch] = []
        var direct: [ApplyBatch] = []
        if !effects.applies.isEmpty {
            (direct, queued) = contents.withLock { $0.divide(effects.applies) }
            if !direct.isEmpty, (try? store.apply(direct)) == nil {
                // The worker finds out what is wrong, tells and tries again. What a range has in `queued` comes later.
                queued = direct + queued
                direct = []
            }
        }
        let reports = direct.contains(where: \.isCompared) ? store.takeReports() : []
        let isNews = contents.withLock { contents in
            let isAwaited = contents.release(.stepThread)
            if !queued.isEmpty { contents.append(.apply(queued)) }
            for read in effects.snapshotReads { contents.append(.read(read)) }
            for write in effects.snapshotWrites { contents.append(.write(write)) }
            for salvage in effects.salvages { contents.append(.keep(salvage)) }
            return !contents.isWorking && (isAwaited || !contents.work.isEmpty)
        }
        return (direct.map(\.confirmation), reports, isNews)
    }

    /// Queues work that is nobody's effect. A checkpoint or a collection that nobody waits for is queued once.
    /// - Returns: whether it was taken.
    package func append(_ work: StateWork) -> Bool {
        contents.withLock { contents in
            guard !contents.isClosed else { return false }
            switch work {
            case .checkpoint(nil):
                guard !contents.isCheckpointQueued else { return false }
                contents.isCheckpointQueued = true
            case .collect:
                guard !contents.isCollectionQueued else { return false }
                contents.isCollectionQueued = true
            case .inspect:
                guard !contents.isInspectionQueued else { return false }
                contents.isInspectionQueued = true
            default: break
            }
            contents.append(work)
            return true
        }
    }

    // MARK: The worker

    /// Whether anything waits.
    package var isEmpty: Bool { contents.withLock { $0.work.isEmpty } }
    /// Whether the last piece that was looked through for damage was the last one of all.
    var isInspectionOver: Bool { contents.withLock { $0.isInspectionOver } }
    /// Whether every committed entry that the core has given is in the store.
    package var isApplied: Bool { contents.withLock { $0.waiting.isEmpty } }

    /// Takes the next item.
    /// - Returns: `nil` when there is none, or one is under way, or the step thread applies: then the worker is woken
    ///   when it has.
    package func begin() -> StateWork? {
        contents.withLock { contents in
            guard !contents.isWorking, let work = contents.work.first else { return nil }
            if worker.needsStore(work) {
                guard contents.holder == .nobody else {
                    contents.isAwaited = true
                    return nil
                }
                contents.holder = .worker
            }
            contents.work.removeFirst()
            contents.isWorking = true
            return work
        }
    }

    package func perform(_ work: StateWork) -> StateOutcome { worker.perform(work) }
    /// What comes of an item that the disk refuses.
    package func refuse(_ work: StateWork, because error: MeridianError) -> StateOutcome { worker.failed(work, error) }

    package func end(_ work: StateWork, _ outcome: StateOutcome) {
        contents.withLock { contents in
            contents.isWorking = false
            _ = contents.release(.worker)
            if case .inspect = work { contents.isInspectionOver = outcome.isInspectionOver }
            switch outcome.next {
            case .again: contents.work.insert(work, at: 0)
            case .more: contents.work.append(work)
            case .done: contents.finish(work)
            case .never: break
            }
        }
    }

    /// Nothing is queued any more.
    package func close() { contents.withLock { $0.isClosed = true } }

    /// What waits will not be done. The store is left to its owner.
    package func abandon() {
        let work = contents.withLock { contents in
            defer { contents.work = [] }
            return contents.work
        }
        for item in work { item.abandon() }
        worker.close()
    }
}

extension StateQueue.Contents {
    /// Which batches may be applied at once. If any may, the step thread has the store until `release`.
    fileprivate mutating func divide(_ batches: [ApplyBatch]) -> (direct: [ApplyBatch], queued: [ApplyBatch]) {
        guard holder == .nobody else { return ([], batches) }
        var direct: [ApplyBatch] = []
        var queued: [ApplyBatch] = []
        for batch in batches {
            let mustWait = batch.cleared != nil || waiting[batch.range] != nil
            if mustWait || queued.contains(where: { $0.range == batch.range }) {
                queued.append(batch)
            } else {
                direct.append(batch)
            }
        }
        if !direct.isEmpty { holder = .stepThread }
        return (direct, queued)
    }

    /// - Returns: whether the worker waits for it.
    fileprivate mutating func release(_ released: StateQueue.Holder) -> Bool {
        guard holder == released else { return false }
        holder = .nobody
        defer { isAwaited = false }
        return isAwaited
    }

    fileprivate mutating func append(_ item: StateWork) {
        for range in item.changed where !item.isPassedByApplies { waiting[range, default: 0] += 1 }
        // One transaction for what queued in a row.
        if case .apply(let later) = item, case .apply(let earlier)? = work.last {
            work[work.count - 1] = .apply(earlier + later)
        } else {
            work.append(item)
        }
    }

    fileprivate mutating func finish(_ item: StateWork) {
        for range in item.changed where !item.isPassedByApplies {
            waiting[range] = waiting[range]! > 1 ? waiting[range]! - 1 : nil
        }
        switch item {
        case .checkpoint(nil): isCheckpointQueued = false
        case .collect: isCollectionQueued = false
        case .inspect: isInspectionQueued = false
        default: break
        }
    }
}

extension StateWork {
    /// Whether entries that are committed later may be applied before it: never, but for a planted bug.
    fileprivate var isPassedByApplies: Bool {
        guard Planted.isOn(.snapshotTakesRowsBack), case .write = self else { return false }
        return true
    }
}
