import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Something that is done with a node's applied rows beside its steps.
package enum StateWork: Sendable {
    /// Rows that may not be applied on the step thread; or a replica that goes (`ApplyBatch.cleared`).
    case apply([ApplyBatch])
    case read(SnapshotRead)
    case write(SnapshotWrite)
    case keep(Salvage)
    /// Makes everything durable, and tells how far that is: of no range when it does not succeed.
    case checkpoint((@Sendable ([RangeID: LogIndex]) -> Void)?)
    /// Collects a slice of what the ranges' thresholds let go.
    case collect(RangeDirectory)
    /// Looks through the next piece of the rows for damage.
    case inspect(RangeDirectory)
    /// Rewrites the file (`StateStore.scrub`), and tells whether it was done.
    case scrub(@Sendable (Bool) -> Void)

    /// The ranges of which it changes rows, once for each change: entries that are committed later must wait for it.
    var changed: [RangeID] {
        switch self {
        case .apply(let batches): batches.map(\.range)
        case .write(let write): [write.range]
        case .read, .keep, .checkpoint, .collect, .inspect, .scrub: []
        }
    }

    /// It will not be done any more.
    func abandon() {
        switch self {
        case .checkpoint(let finished): finished?([:])
        case .scrub(let finished): finished(false)
        case .apply, .read, .write, .keep, .collect, .inspect: break
        }
    }
}

/// What came of it.
package struct StateOutcome: Sendable {
    enum Next: Sendable {
        case done
        /// The disk is full: the same again after a while, and nothing else before it.
        case again
        /// One slice is done, and there is another one.
        case more
        /// It never will be. Over the gap that it leaves nothing is applied to the ranges that it would have changed.
        case never
    }

    package var events: [NodeEvent] = []
    var next = Next.done
    /// All rows have been looked through.
    var isInspectionOver = false
    /// Trouble that is no caller's.
    package var trouble: (error: any Error, activity: String)?

    package var isToBeTriedAgain: Bool { next == .again }
}

/// Does the state queue's work with a store, and holds what outlives a single item: snapshots that are read and
/// received. Used by one thread at a time.
final class StateWorker: @unchecked Sendable {
    let store: any StateStore
    /// Keeps what it is given, durably.
    private let salvage: (Salvage) throws -> Void
    private let chunkBytes: Int
    private let inspectedCount: Int
    /// The ranges that the present inspection has still to look through.
    private var uninspected: [RangeID] = []
    private var readers: [SnapshotStreamID: any SnapshotReader] = [:]
    private var writers: [RangeID: (stream: SnapshotStreamID, writer: any SnapshotWriter)] = [:]
    /// Rows could not be applied, and never will.
    private var hasFailed = false
    /// The node knows that its rows cannot be written at present.
    private var hasToldFailure = false

    static let sliceCount = 200

    init(
        _ store: any StateStore, chunkBytes: Int, inspectedCount: Int = 500, salvage: @escaping (Salvage) throws -> Void
    ) {
        self.store = store
        self.chunkBytes = chunkBytes
        self.inspectedCount = inspectedCount
        self.salvage = salvage
    }

    /// Whether nothing may be applied while it is done.
    func needsStore(_ work: StateWork) -> Bool {
        switch work {
        case .apply, .collect, .inspect, .scrub: true
        case .read(let read): !read.isEnd && readers[read.stream] == nil
        case .write(let write): write.message.chunk.isLast
        // Reads beside.
        case .keep, .checkpoint: false
        }
    }

    func perform(_ work: StateWork) -> StateOutcome {
        do {
            switch work {
            case .apply(let batches): return try apply(batches)
            case .read(let read): return try self.read(read)
            case .write(let write): return StateOutcome(write, try progress(of: write))
            case .keep(let salvage): return try keep(salvage)
            case .checkpoint(let finished): return try checkpoint(finished)
            case .collect(let directory): return try collect(directory)
            case .inspect(let directory): return try inspect(directory)
            case .scrub(let finished):
                // Snapshots that are read or received hold older pictures.
                finished(try readers.isEmpty && writers.isEmpty && store.scrub())
                return StateOutcome()
            }
        } catch {
            return failed(work, error)
        }
    }

    /// What comes of work that the store refuses.
    func failed(_ work: StateWork, _ error: any Error) -> StateOutcome {
        var outcome = StateOutcome()
        switch work {
        case .apply:
            // Applying later rows over a gap would lose the earlier ones, so a full disk is waited out, and after any
            // other failure nothing is applied again: the log has the rows.
            let cause = error as? MeridianError ?? MeridianError(.storageFailed, "the rows: \(error)")
            outcome.next = cause.code == .diskFull ? .again : .never
            hasFailed = cause.code != .diskFull
            guard !hasToldFailure || hasFailed else { return outcome }
            hasToldFailure = true
            outcome.events = [.stateFailed(cause)]
            outcome.trouble = (error, "applying rows")
        case .read(let read):
            outcome.events = [.snapshotRead(SnapshotReadResult(stream: read.stream, state: nil, chunk: nil))]
            outcome.trouble = (error, "reading a snapshot of \(read.range)")
        case .write(let write):
            writers.removeValue(forKey: write.range)?.writer.cancel()
            outcome = StateOutcome(write, .failed)
            outcome.trouble = (error, "receiving a snapshot of \(write.range)")
        case .keep(let salvage):
            // Nothing is removed before it is kept.
            outcome.next = .again
            outcome.trouble = (error, "keeping superseded commits of \(salvage.range)")
        case .checkpoint(let finished):
            // The log keeps what is not durable here; the next checkpoint tries again.
            finished?([:])
            outcome.trouble = (error, "writing a checkpoint")
        case .collect: outcome.trouble = (error, "collecting old versions")
        case .inspect:
            uninspected = []
            outcome.trouble = (error, "looking through the rows")
        case .scrub(let finished):
            finished(false)
            outcome.trouble = (error, "rewriting the rows' file")
        }
        return outcome
    }

    func close() {
        for reader in readers.values { reader.close() }
        for writer in writers.values { writer.writer.cancel() }
        (readers, writers) = ([:], [:])
    }

    private func apply(_ batches: [ApplyBatch]) throws -> StateOutcome {
        guard !hasFailed else { return StateOutcome(next: .never) }
        try store.apply(batches)
        var outcome = StateOutcome(events: [.applied(batches.map(\.confirmation))])
        if batches.contains(where: \.isCompared) { outcome.events.insert(.digested(store.takeReports()), at: 0) }
        if hasToldFailure { outcome.events.insert(.stateRecovered, at: 0) }
        hasToldFailure = false
        return outcome
    }

    private func read(_ read: SnapshotRead) throws -> StateOutcome {
        if read.isEnd {
            readers.removeValue(forKey: read.stream)?.close()
            return StateOutcome()
        }
        let reader = try readers[read.stream] ?? store.openSnapshot(of: read.range, span: read.span)
        readers[read.stream] = reader
        let chunk = try reader.chunk(at: read.offset, byteLimit: chunkBytes)
        return StateOutcome(
            events: [.snapshotRead(SnapshotReadResult(stream: read.stream, state: reader.state, chunk: chunk))])
    }

    private func progress(of write: SnapshotWrite) throws -> SnapshotReplyMessage.Progress {
        let message = write.message
        guard !hasFailed else { return .failed }
        // One that has come too late, or again after it was installed, need not be received.
        if !Planted.isOn(.snapshotTakesRowsBack), let applied = try store.load()[write.range]?.position,
            message.state.position.isPassed(by: applied)
        {
            if writers[write.range]?.stream == message.stream {
                writers.removeValue(forKey: write.range)?.writer.cancel()
            }
            return .installed(applied.index)
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
            return .wants(offset: writer.nextOffset)
        }
        let installation = try writer.commit()
        writers[write.range] = nil
        if case .passed(let applied) = installation { return .installed(applied.index) }
        return .installed(message.state.position.index)
    }

    private func keep(_ salvage: Salvage) throws -> StateOutcome {
        var salvage = salvage
        if salvage.compacted > 0 { try salvage.addRows(from: store.makeReader()) }
        try self.salvage(salvage)
        return StateOutcome(events: [.salvaged(salvage.range)])
    }

    private func checkpoint(_ finished: (@Sendable ([RangeID: LogIndex]) -> Void)?) throws -> StateOutcome {
        let durable = try store.checkpoint()
        finished?(durable)
        let confirmations = durable.sorted { $0.key < $1.key }.map {
            AppliedConfirmation(range: $0.key, index: $0.value)
        }
        return StateOutcome(events: [.checkpointed(confirmations)])
    }

    private func collect(_ directory: RangeDirectory) throws -> StateOutcome {
        let ranges = try store.uncollected().filter { directory[$0] != nil }
        guard let range = ranges.first, let span = directory[range]?.span else { return StateOutcome() }
        let progress = try store.collectGarbage(of: range, in: span, limit: Self.sliceCount)
        return StateOutcome(next: progress.isComplete && ranges.count == 1 ? .done : .more)
    }

    private func inspect(_ directory: RangeDirectory) throws -> StateOutcome {
        if uninspected.isEmpty { uninspected = try store.load().keys.filter { directory[$0] != nil }.sorted() }
        var outcome = StateOutcome()
        if let range = uninspected.last, let span = directory[range]?.span {
            let progress = try store.inspect(range, in: span, limit: inspectedCount)
            if progress.isComplete {
                uninspected.removeLast()
                if !progress.isSound { outcome.events = [.damaged(range)] }
            }
        } else {
            _ = uninspected.popLast()
        }
        outcome.isInspectionOver = uninspected.isEmpty
        return outcome
    }
}

extension StateOutcome {
    fileprivate init(_ write: SnapshotWrite, _ progress: SnapshotReplyMessage.Progress) {
        events = [.snapshotWritten(SnapshotWriteResult(write: write, progress: progress))]
    }
}

extension ApplyBatch {
    var confirmation: AppliedConfirmation { AppliedConfirmation(range: range, index: state.position.index) }
}
