import MeridianCore
import MeridianPlacement
import MeridianReplica
import Synchronization

/// Applies committed rows, and does on a thread of its own what would hold a commit up: checkpoints, snapshots, garbage
/// collection.
///
/// Applying works in memory (docs/internals/storage.md) and costs about a microsecond a row, much less than a thread
/// hop, so the driver applies on the thread that steps the core. Only while the state thread has the store for itself,
/// to install a snapshot or to collect garbage, are batches handed over to it, in order. Checkpoints run beside.
final class StateApplier: @unchecked Sendable {
    private enum Work: Sendable {
        case apply(ApplyBatch)
        case read(SnapshotRead)
        case write(SnapshotWrite)
        case keep(Salvage)
        /// Makes everything durable, and tells how far that is.
        case checkpoint(@Sendable ([RangeID: LogIndex]) -> Void)
        /// Rewrites the file (`StateStore.scrub`).
        case scrub(@Sendable (Bool) -> Void)
    }

    private struct Queue {
        var work: [Work] = []
        /// Batches that the state thread has not applied yet. While there are any, later ones must queue behind them.
        var pendingApplies = 0
        var isStarted = false
        var isStopped = false
        var isCrash = false
    }

    private let store: any StateStore
    private let garbageCollection: GarbageCollection
    /// Keeps what it is given, durably.
    private let salvage: @Sendable (Salvage) throws -> Void
    private let queue = Mutex(Queue())
    private let wake = WakeSignal()
    private let ended = WakeSignal()
    /// Held by whoever changes the store, except for a checkpoint.
    private let exclusive = Mutex(())

    // Only the state thread touches these.
    private var readers: [SnapshotStreamID: any SnapshotReader] = [:]
    private var writers: [RangeID: (stream: SnapshotStreamID, writer: any SnapshotWriter)] = [:]
    private var hasFailed = false
    private var nextCheckpoint: Int64 = 0
    private var nextCollection: Int64 = 0
    private var nextInspection: Int64 = 0
    /// The ranges that the present inspection has still to look through.
    private var uninspected: [RangeID] = []

    private static let checkpointBytes = 12 << 20
    private static let checkpointIntervalNanoseconds: Int64 = 2_000_000_000
    private static let chunkBytes = 1 << 20
    private static let fullDiskRetryNanoseconds: Int64 = 200_000_000

    init(
        _ store: any StateStore, garbageCollection: GarbageCollection,
        salvage: @escaping @Sendable (Salvage) throws -> Void
    ) {
        self.salvage = salvage
        self.store = store
        self.garbageCollection = garbageCollection
    }

    /// - Returns: what was applied at once.
    func carryOut(_ effects: borrowing NodeEffects, _ driver: NodeDriver) -> [AppliedConfirmation] {
        let isIdle = effects.applies.isEmpty && effects.snapshotReads.isEmpty && effects.snapshotWrites.isEmpty
        guard !isIdle || !effects.salvages.isEmpty else { return [] }
        // What makes a replica's rows go waits for the disk, and comes behind the checkpoints that still had them.
        let isFree = queue.withLock { $0.pendingApplies == 0 } && effects.applies.allSatisfy { $0.cleared == nil }
        let applied = isFree ? applyNow(effects.applies, driver) : nil
        let wasEmpty = queue.withLock { queue in
            let wasEmpty = queue.work.isEmpty
            if applied == nil {
                for batch in effects.applies { queue.work.append(.apply(batch)) }
                queue.pendingApplies += effects.applies.count
            }
            for read in effects.snapshotReads { queue.work.append(.read(read)) }
            for write in effects.snapshotWrites { queue.work.append(.write(write)) }
            for salvage in effects.salvages { queue.work.append(.keep(salvage)) }
            return wasEmpty && !queue.work.isEmpty
        }
        let isLong = store.pendingCheckpointByteCount > Self.checkpointBytes
        if wasEmpty || (isLong && !isCheckpointWanted.exchange(true, ordering: .relaxed)) { wake.signal() }
        return applied ?? []
    }

    /// - Parameter finished: is told how far the ranges are durable; of none when the node stops.
    func checkpoint(_ finished: @escaping @Sendable ([RangeID: LogIndex]) -> Void) {
        if !enqueue(.checkpoint(finished)) { finished([:]) }
    }

    /// - Parameter finished: is told whether it was done.
    func scrub(_ finished: @escaping @Sendable (Bool) -> Void) { if !enqueue(.scrub(finished)) { finished(false) } }

    private func enqueue(_ work: Work) -> Bool {
        let isStopped = queue.withLock { queue in
            if !queue.isStopped { queue.work.append(work) }
            return queue.isStopped
        }
        if !isStopped { wake.signal() }
        return !isStopped
    }

    private let isCheckpointWanted = Atomic<Bool>(false)

    func start(for driver: NodeDriver) {
        let now = MonotonicTime.nanoseconds()
        nextCheckpoint = now + Self.checkpointIntervalNanoseconds
        nextCollection = now + garbageCollection.interval.nanoseconds
        nextInspection = now + garbageCollection.inspectionInterval.nanoseconds
        queue.withLock { $0.isStarted = true }
        EngineThread.start("meridian.state.\(driver.node)") { [self] in
            EngineThread.yieldToOthers()
            loop(driver)
            ended.signal()
        }
    }

    func stop(isCrash: Bool) {
        let isStarted = queue.withLock { queue in
            queue.isStopped = true
            queue.isCrash = isCrash
            return queue.isStarted
        }
        guard isStarted else { return close(isCrash: isCrash) }
        wake.signal()
        ended.wait(untilNanoseconds: nil)
    }

    private func loop(_ driver: NodeDriver) {
        while true {
            var work: [Work] = []
            let (isStopped, isCrash) = queue.withLock { queue in
                swap(&work, &queue.work)
                return (queue.isStopped, queue.isCrash)
            }
            if isStopped, work.isEmpty || isCrash {
                for item in work {
                    if case .checkpoint(let finished) = item { finished([:]) }
                    if case .scrub(let finished) = item { finished(false) }
                }
                for reader in readers.values { reader.close() }
                for writer in writers.values { writer.writer.cancel() }
                return close(isCrash: isCrash)
            }
            if work.isEmpty {
                rest(driver)
                continue
            }
            perform(work, driver)
            EngineThread.runAdopted(while: { queue.withLock { $0.work.isEmpty } })
        }
    }

    private func close(isCrash: Bool) {
        if !isCrash { _ = try? store.checkpoint() }
        try? store.close()
    }

    /// Nobody waits: time for what is not urgent.
    private func rest(_ driver: NodeDriver) {
        let now = MonotonicTime.nanoseconds()
        let isPending = store.pendingCheckpointByteCount > 0
        if isCheckpointWanted.load(ordering: .relaxed) || isPending && now >= nextCheckpoint {
            checkpoint(driver)
            EngineThread.runAdopted()
        } else if now >= nextCollection {
            collectGarbage(driver)
        } else if now >= nextInspection {
            inspect(driver)
        }
        let next = min(nextCollection, nextInspection)
        wake.wait(untilNanoseconds: isPending ? min(nextCheckpoint, next) : next)
    }

    @discardableResult
    private func checkpoint(_ driver: NodeDriver) -> [RangeID: LogIndex] {
        nextCheckpoint = MonotonicTime.nanoseconds() + Self.checkpointIntervalNanoseconds
        defer { isCheckpointWanted.store(false, ordering: .relaxed) }
        do {
            let durable = try store.checkpoint()
            let confirmations = durable.sorted { $0.key < $1.key }.map {
                AppliedConfirmation(range: $0.key, index: $0.value)
            }
            driver.enqueue(.checkpointed(confirmations))
            return durable
        } catch {
            // The log keeps what is not durable here; the next checkpoint tries again.
            driver.note(error, while: "writing a checkpoint")
            return [:]
        }
    }

    /// Collects what the ranges' thresholds let go.
    private func collectGarbage(_ driver: NodeDriver) {
        nextCollection = MonotonicTime.nanoseconds() + garbageCollection.interval.nanoseconds
        guard let ranges = try? store.uncollected() else { return }
        for range in ranges {
            guard let span = driver.catalog.directory[range]?.span else { continue }
            // In slices, so that rows waiting to be applied wait for one slice at most.
            var isDone = false
            while !isDone, queue.withLock({ $0.work.isEmpty }) {
                isDone = exclusive.withLock { _ in
                    let progress = try? store.collectGarbage(
                        of: range, in: span, limit: GarbageCollection.sliceCount)
                    return progress?.isComplete ?? true
                }
            }
        }
    }

    /// Looks through the next piece of the rows for damage.
    private func inspect(_ driver: NodeDriver) {
        let now = MonotonicTime.nanoseconds()
        if uninspected.isEmpty { uninspected = (try? store.load().keys.sorted()) ?? [] }
        while let range = uninspected.last {
            guard let span = driver.catalog.directory[range]?.span else {
                uninspected.removeLast()
                continue
            }
            let progress = exclusive.withLock { _ in
                try? store.inspect(range, in: span, limit: GarbageCollection.inspectedCount)
            }
            if progress?.isComplete ?? true { uninspected.removeLast() }
            if progress?.isComplete == true, progress?.isSound == false { driver.enqueue(.damaged(range)) }
            break
        }
        let wait = uninspected.isEmpty ? garbageCollection.inspectionInterval : GarbageCollection.inspectionPause
        nextInspection = now + wait.nanoseconds
    }

    private func scrub(_ driver: NodeDriver) -> Bool {
        do {
            return try exclusive.withLock { _ in try store.scrub() }
        } catch {
            driver.note(error, while: "rewriting the rows' file")
            return false
        }
    }

    private func perform(_ work: [Work], _ driver: NodeDriver) {
        var batches: [ApplyBatch] = []
        for item in work {
            switch item {
            case .apply(let batch): batches.append(batch)
            case .read(let read): self.read(read, driver)
            case .keep(let salvage): keep(salvage, driver)
            case .write(let write):
                applyQueued(&batches, driver)
                self.write(write, driver)
            case .checkpoint(let finished):
                applyQueued(&batches, driver)
                finished(checkpoint(driver))
            case .scrub(let finished):
                applyQueued(&batches, driver)
                // Snapshots that are read or received hold older pictures.
                finished(readers.isEmpty && writers.isEmpty && scrub(driver))
            }
        }
        applyQueued(&batches, driver)
    }

    /// Applies batches that had to queue.
    private func applyQueued(_ batches: inout [ApplyBatch], _ driver: NodeDriver) {
        guard !batches.isEmpty else { return }
        let count = batches.count
        let confirmations = Self.confirmations(of: batches)
        let isApplied = !hasFailed && applyAll(batches, driver)
        batches = []
        // Over a gap nothing is applied: what comes after it queues for ever.
        guard isApplied else { return }
        queue.withLock { $0.pendingApplies -= count }
        driver.enqueue(.applied(confirmations))
    }

    private static func confirmations(of batches: [ApplyBatch]) -> [AppliedConfirmation] {
        batches.map { AppliedConfirmation(range: $0.range, index: $0.state.position.index) }
    }

    /// Applies at once, if nobody else has the store and it works.
    private func applyNow(_ batches: [ApplyBatch], _ driver: NodeDriver) -> [AppliedConfirmation]? {
        guard !batches.isEmpty else { return [] }
        let isApplied = exclusive.withLockIfAvailable { _ in (try? store.apply(batches)) != nil } ?? false
        if isApplied { tellReports(of: batches, driver) }
        return isApplied ? Self.confirmations(of: batches) : nil
    }

    private func tellReports(of batches: [ApplyBatch], _ driver: NodeDriver) {
        guard batches.contains(where: \.isCompared) else { return }
        driver.enqueue(.digested(store.takeReports()))
    }

    /// Applies until it succeeds. Applying later rows over a gap would lose the earlier ones, so a full disk is waited
    /// out, and after any other failure nothing is applied again: the log has the rows.
    /// - Returns: `false` when it never will, or the node stops.
    private func applyAll(_ batches: [ApplyBatch], _ driver: NodeDriver) -> Bool {
        var isWaiting = false
        while true {
            do {
                try exclusive.withLock { _ in try store.apply(batches) }
                tellReports(of: batches, driver)
                if isWaiting { driver.enqueue(.stateRecovered) }
                return true
            } catch {
                let cause =
                    error as? MeridianError ?? MeridianError(.storageFailed, "the rows of \(driver.node): \(error)")
                if !isWaiting {
                    driver.note(error, while: "applying rows")
                    driver.enqueue(.stateFailed(cause))
                }
                isWaiting = true
                EngineThread.runAdopted()
                guard cause.code == .diskFull else {
                    hasFailed = true
                    return false
                }
                wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + Self.fullDiskRetryNanoseconds)
                if queue.withLock({ $0.isStopped }) { return false }
            }
        }
    }

    private func read(_ read: SnapshotRead, _ driver: NodeDriver) {
        if read.isEnd {
            readers.removeValue(forKey: read.stream)?.close()
            return
        }
        do {
            let reader =
                try readers[read.stream]
                ?? exclusive.withLock { _ in try store.openSnapshot(of: read.range, span: read.span) }
            readers[read.stream] = reader
            let chunk = try reader.chunk(at: read.offset, byteLimit: Self.chunkBytes)
            driver.enqueue(
                .snapshotRead(
                    SnapshotReadResult(stream: read.stream, state: reader.state, chunk: chunk)))
        } catch {
            driver.note(error, while: "reading a snapshot of \(read.range)")
            driver.enqueue(
                .snapshotRead(SnapshotReadResult(stream: read.stream, state: nil, chunk: nil)))
        }
    }

    private func write(_ write: SnapshotWrite, _ driver: NodeDriver) {
        let message = write.message
        guard !hasFailed else { return reply(write, .failed, driver) }
        do {
            // One that has come too late, or again after it was installed, need not be received.
            if let applied = try store.load()[write.range]?.position, message.state.position.isPassed(by: applied) {
                if writers[write.range]?.stream == message.stream {
                    writers.removeValue(forKey: write.range)?.writer.cancel()
                }
                return reply(write, .installed(applied.index), driver)
            }
            if let current = writers[write.range], current.stream != message.stream {
                current.writer.cancel()
                writers[write.range] = nil
            }
            let writer =
                try writers[write.range]?.writer
                ?? store.receiveSnapshot(of: write.range, span: write.span, state: message.state)
            writers[write.range] = (message.stream, writer)
            if message.chunk.offset == writer.nextOffset { try writer.append(message.chunk) }
            guard message.chunk.isLast, message.chunk.offset < writer.nextOffset else {
                reply(write, .wants(offset: writer.nextOffset), driver)
                return
            }
            let installation = try exclusive.withLock { _ in try writer.commit() }
            writers[write.range] = nil
            switch installation {
            case .installed: reply(write, .installed(message.state.position.index), driver)
            case .passed(let applied): reply(write, .installed(applied.index), driver)
            }
        } catch {
            driver.note(error, while: "receiving a snapshot of \(write.range)")
            writers.removeValue(forKey: write.range)?.writer.cancel()
            reply(write, .failed, driver)
        }
    }

    /// Keeps commits of a history that has ended, until it succeeds: nothing of them is removed before.
    private func keep(_ salvage: Salvage, _ driver: NodeDriver) {
        while true {
            do {
                var salvage = salvage
                if salvage.compacted > 0 { try salvage.addRows(from: store.makeReader()) }
                try self.salvage(salvage)
                return driver.enqueue(.salvaged(salvage.range))
            } catch {
                driver.note(error, while: "keeping superseded commits of \(salvage.range)")
                wake.wait(untilNanoseconds: MonotonicTime.nanoseconds() + Self.fullDiskRetryNanoseconds)
                if queue.withLock({ $0.isStopped }) { return }
            }
        }
    }

    private func reply(
        _ write: SnapshotWrite, _ progress: SnapshotReplyMessage.Progress, _ driver: NodeDriver
    ) {
        driver.enqueue(.snapshotWritten(SnapshotWriteResult(write: write, progress: progress)))
    }
}

/// How the state thread collects old versions and looks for damage. Which old versions may go says the log
/// (`AppliedState.threshold`).
package struct GarbageCollection: Sendable {
    /// How often it looks whether the threshold of a range has risen.
    package var interval: Duration = .seconds(1)
    /// All rows are looked through for damage, in pieces of so many versions with so long pauses, and again after the
    /// interval: less than a hundredth of a processor.
    package var inspectionInterval: Duration = .seconds(600)
    static let inspectedCount = 500
    static let inspectionPause = Duration.milliseconds(50)
    static let sliceCount = 200

    package init() {}
}
