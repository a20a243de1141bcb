import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianStorage

/// What the node's log and state threads do in production, with the disk's time and faults.
extension Engine {
    /// Begins to write what has gathered: one transaction and one sync for all of it (group commit).
    func writeLog(_ node: SimulatedNode) {
        guard node.writing.isEmpty, !node.jobs.isEmpty, !node.isLogDead else { return }
        swap(&node.writing, &node.jobs)
        let delay = timing.diskNanoseconds / 2 + below(timing.diskNanoseconds)
        schedule(.logWritten(node: node.position, incarnation: node.incarnation), after: delay)
        if let doom = node.doom { crashAmidWrite(node, doom, within: delay) }
    }

    private func crashAmidWrite(_ node: SimulatedNode, _ doom: SimulatedNode.Doom, within delay: Int64) {
        let hasVote = node.writing.contains { $0.writes.contains { $0.hardState?.vote != nil } }
        guard doom == .write || hasVote else { return }
        let incarnation = node.incarnation
        after(below(delay)) { [unowned self] in
            // Unless the fault has ended in the meantime.
            guard node.incarnation == incarnation, node.doom != nil else { return }
            node.doom = nil
            crash(node)
        }
    }

    func logWritten(_ node: SimulatedNode) {
        if node.stalledUntil > now {
            // The stall may be ended early.
            let wait = min(node.stalledUntil - now, 20_000_000)
            return schedule(.logWritten(node: node.position, incarnation: node.incarnation), after: wait)
        }
        guard let log = node.log else { return }
        let writes = node.writing.count == 1 ? node.writing[0].writes : node.writing.flatMap(\.writes)
        if !writes.isEmpty {
            do {
                try log.write(writes)
                invariants?.written(node, writes)
            } catch {
                return logFailed(node, error)
            }
        }
        var events: [NodeEvent] = []
        if node.hasToldLogFailure {
            node.hasToldLogFailure = false
            events.append(.logRecovered)
        }
        let written = node.writing
        node.writing = []
        let stall = node.storage.takeStallNanoseconds()
        if stall > 0 { node.stalledUntil = max(node.stalledUntil, now + stall) }
        events.append(.persisted(written.count == 1 ? written[0].confirmations : written.flatMap(\.confirmations)))
        // A frame that waited for the disk is sent by the log's thread, which a pause stops as well.
        if node.isPaused {
            let incarnation = node.incarnation
            after(node.pausedUntil - now) { [unowned self] in
                if node.incarnation == incarnation { for job in written { sendAfterWrite(job.framesAfter) } }
            }
        } else {
            for job in written { sendAfterWrite(job.framesAfter) }
        }
        if log.pendingCheckpointByteCount > 4 << 20 { try? log.checkpoint() }
        give(node, events)
        if node.core != nil { writeLog(node) }
    }

    /// A full disk is tried again; after anything else nothing is written any more (`LogWriter`).
    private func logFailed(_ node: SimulatedNode, _ error: any Error) {
        let cause = error as? MeridianError ?? MeridianError(.storageFailed, "the log of \(node.id): \(error)")
        let isFirst = !node.hasToldLogFailure
        node.hasToldLogFailure = true
        if cause.code == .diskFull {
            schedule(.logWritten(node: node.position, incarnation: node.incarnation), after: 200_000_000)
        } else {
            node.isLogDead = true
        }
        if isFirst {
            trace?("\(node.id) cannot write its log: \(cause.code)")
            give(node, .logFailed(cause))
        }
    }

    /// Applies rows at once, in order; what the disk refuses is tried again.
    /// - Returns: the confirmation.
    func apply(_ node: SimulatedNode, _ batches: [ApplyBatch]) -> [NodeEvent] {
        guard !batches.isEmpty, let state = node.state else { return [] }
        guard node.unapplied.isEmpty else {
            node.unapplied.append(contentsOf: batches)
            return []
        }
        do {
            try state.apply(batches)
        } catch {
            node.unapplied = batches
            return [stateFailed(node, error)]
        }
        scheduleCheckpoint(node)
        func confirm(_ batches: some Sequence<ApplyBatch>) -> NodeEvent {
            .applied(batches.map { AppliedConfirmation(range: $0.range, index: $0.state.position.index) })
        }
        let reports = batches.contains(where: \.isCompared) ? [NodeEvent.digested(state.takeReports())] : []
        guard batches.contains(where: { $0.cleared != nil }) else { return reports + [confirm(batches)] }
        // Told behind the checkpoints that were begun before, as the state thread does.
        let cleared = confirm(batches.lazy.filter { $0.cleared != nil })
        schedule(
            .completed(node: node.position, incarnation: node.incarnation, [cleared]),
            after: max(node.checkpointsTold - now, timing.diskNanoseconds / 2 + below(timing.diskNanoseconds)))
        return reports + [confirm(batches.lazy.filter { $0.cleared == nil })]
    }

    private func stateFailed(_ node: SimulatedNode, _ error: any Error) -> NodeEvent {
        let cause = error as? MeridianError ?? MeridianError(.storageFailed, "the rows of \(node.id): \(error)")
        node.hasToldStateFailure = true
        if cause.code == .diskFull { retryApplies(node) }
        return .stateFailed(cause)
    }

    private func retryApplies(_ node: SimulatedNode) {
        let incarnation = node.incarnation
        after(200_000_000) { [unowned self] in
            guard node.incarnation == incarnation, let state = node.state else { return }
            guard (try? state.apply(node.unapplied)) != nil else { return retryApplies(node) }
            let confirmations = node.unapplied.map {
                AppliedConfirmation(range: $0.range, index: $0.state.position.index)
            }
            node.unapplied = []
            node.hasToldStateFailure = false
            scheduleCheckpoint(node)
            give(node, [.stateRecovered, .digested(state.takeReports()), .applied(confirmations)])
        }
    }

    private func scheduleCheckpoint(_ node: SimulatedNode) {
        guard !node.isCheckpointScheduled else { return }
        node.isCheckpointScheduled = true
        let interval = timing.checkpointIntervalNanoseconds
        schedule(
            .checkpoint(node: node.position, incarnation: node.incarnation), after: interval / 2 + below(interval))
    }

    func checkpoint(_ node: SimulatedNode) {
        guard let state = node.state, !node.storage.trouble.isFull else { return }
        guard let durable = try? state.checkpoint() else { return }
        let confirmations = durable.sorted { $0.key < $1.key }.map {
            AppliedConfirmation(range: $0.key, index: $0.value)
        }
        // What is applied from now on is not in it, though the node hears of it later. One comes after the other.
        node.checkpointsTold = max(node.checkpointsTold, now + below(settings.checkpointNanoseconds))
        schedule(
            .completed(node: node.position, incarnation: node.incarnation, [.checkpointed(confirmations)]),
            after: node.checkpointsTold - now)
    }

    func collectGarbage(_ node: SimulatedNode) {
        schedule(
            .collectGarbage(node: node.position, incarnation: node.incarnation),
            after: timing.collectionIntervalNanoseconds)
        guard let core = node.core, let state = node.state, !node.isPaused else { return }
        for range in (try? state.uncollected()) ?? [] {
            guard let span = core.catalog.directory[range]?.span else { continue }
            while (try? state.collectGarbage(of: range, in: span, limit: 200))?.isComplete == false {}
        }
        inspect(node, state, core)
    }

    /// Looks through a piece of one range's rows for damage, the next one each time.
    private func inspect(_ node: SimulatedNode, _ state: any StateStore, _ core: RunningCore) {
        if node.uninspected.isEmpty { node.uninspected = (try? state.load().keys.sorted()) ?? [] }
        guard let range = node.uninspected.last else { return }
        guard let span = core.catalog.directory[range]?.span,
            let progress = try? state.inspect(range, in: span, limit: 100)
        else {
            node.uninspected.removeLast()
            return
        }
        guard progress.isComplete else { return }
        node.uninspected.removeLast()
        if !progress.isSound { give(node, .damaged(range)) }
    }

    /// A row of a replica changes or goes, in memory or on the disk, without anybody's knowledge.
    /// - Returns: whether there was one.
    func damage(_ range: RangeID, at node: SimulatedNode, _ damage: SilentDamage) -> Bool {
        guard let span = node.core?.catalog.directory[range]?.span, let state = node.state as? any Damageable else {
            return false
        }
        let choice = UInt64(below(.max))
        guard (try? state.damage(span, damage, choice: choice)) == true else { return false }
        node.rotten.insert(range)
        trace?("\(node.id): a row of \(range) is damaged (\(damage))")
        return true
    }

    // MARK: Snapshots

    func read(_ read: SnapshotRead, _ node: SimulatedNode) {
        if read.isEnd {
            node.snapshotReaders.removeValue(forKey: read.stream)?.close()
            return
        }
        var result = SnapshotReadResult(stream: read.stream, state: nil, chunk: nil)
        if let state = node.state,
            let reader = try? node.snapshotReaders[read.stream]
                ?? state.openSnapshot(of: read.range, span: read.span)
        {
            node.snapshotReaders[read.stream] = reader
            if let chunk = try? reader.chunk(at: read.offset, byteLimit: timing.snapshotChunkBytes) {
                result.state = reader.state
                result.chunk = chunk
            }
        }
        complete(node, .snapshotRead(result))
    }

    func write(_ write: SnapshotWrite, _ node: SimulatedNode) {
        complete(node, .snapshotWritten(SnapshotWriteResult(write: write, progress: progress(of: write, node))))
    }

    private func progress(of write: SnapshotWrite, _ node: SimulatedNode) -> SnapshotReplyMessage.Progress {
        // A store that is behind on applying must not be overtaken by a snapshot.
        guard let state = node.state, node.unapplied.isEmpty, !node.storage.trouble.isFull else { return .failed }
        let message = write.message
        do {
            if let current = node.snapshotWriters[write.range], current.stream != message.stream {
                current.writer.cancel()
                node.snapshotWriters[write.range] = nil
            }
            let writer =
                try node.snapshotWriters[write.range]?.writer
                ?? state.receiveSnapshot(of: write.range, span: write.span, state: message.state)
            node.snapshotWriters[write.range] = (message.stream, writer)
            if message.chunk.offset == writer.nextOffset { try writer.append(message.chunk) }
            guard message.chunk.isLast, message.chunk.offset < writer.nextOffset else {
                return .wants(offset: writer.nextOffset)
            }
            let installation = try writer.commit()
            node.snapshotWriters[write.range] = nil
            if case .passed(let applied) = installation { return .installed(applied.index) }
            trace?("\(node.id) installs a snapshot of \(write.range) at \(message.state.position)")
            return .installed(message.state.position.index)
        } catch {
            node.snapshotWriters.removeValue(forKey: write.range)?.writer.cancel()
            return .failed
        }
    }

    /// Commits of a history that has ended: the report is durable when the node hears of it.
    func keep(_ salvage: Salvage, _ node: SimulatedNode) {
        var salvage = salvage
        do {
            if let reader = node.reader { try salvage.addRows(from: reader) }
        } catch {
            // Neither is anything removed.
            return
        }
        trace?(
            "\(node.id) keeps \(salvage.entries.count) entries and \(salvage.rows.count) rows of \(salvage.range), "
                + "behind \(salvage.fork)")
        node.salvaged.append(salvage)
        complete(node, .salvaged(salvage.range))
    }

    private func complete(_ node: SimulatedNode, _ event: NodeEvent) {
        let delay = timing.diskNanoseconds / 2 + below(timing.diskNanoseconds)
        schedule(.completed(node: node.position, incarnation: node.incarnation, [event]), after: delay)
    }
}
