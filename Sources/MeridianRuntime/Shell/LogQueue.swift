import MeridianCore
import MeridianReplica
import Synchronization

/// What waits to be written to a node's log, in order, and what is being written: everything that gathers while a write
/// is on goes into the next one, one transaction and one fsync (group commit).
///
/// A full disk loses nothing of it: the same batch is written again when there is space, and until then the node knows
/// that it must not acknowledge. After any other failure nothing is written again, because nobody knows what the disk
/// holds; consensus notices the silent disk and another replica takes over.
///
/// Threads: `append` is the step thread's. `begin` and `perform` are called in turn by whoever writes the log.
package final class LogQueue: Sendable {
    /// What came of a write.
    package struct Written: Sendable {
        package var writes: [LogWrite] = []
        /// To be sent now that the writes are durable.
        package var frames: [NodeFrame] = []
        package var events: [NodeEvent] = []
        /// The disk is full: the same batch is to be written again (`ShellTiming.fullDiskNanoseconds`).
        package var isToBeTriedAgain = false
    }

    private enum Health {
        case good
        /// Can become good again, or dead.
        case full
        /// For as long as the process lives.
        case dead
    }

    private struct Contents {
        var jobs: [LogJob] = []
        var writing: [LogJob] = []
        var health = Health.good
    }

    package let store: any LogStore
    private let contents = Mutex(Contents())
    /// Transactions written, each with one fsync.
    package let writeCount = Atomic<Int>(0)

    package init(_ store: any LogStore) { self.store = store }

    /// - Returns: whether nothing else waits or is being written: `begin` has something to take.
    func append(_ job: LogJob) -> Bool {
        contents.withLock { contents in
            contents.jobs.append(job)
            return contents.jobs.count == 1 && contents.writing.isEmpty
        }
    }

    /// Whether a write waits for its turn.
    package var isWaiting: Bool { contents.withLock { !$0.jobs.isEmpty && $0.health != .dead } }
    package var isDead: Bool { contents.withLock { $0.health == .dead } }
    /// What is being written.
    package var batch: [LogWrite] { contents.withLock { $0.writing.flatMap(\.writes) } }

    /// Takes all that has gathered.
    /// - Returns: `false` when there is nothing to write, or a write is on, or none is possible any more.
    package func begin() -> Bool {
        contents.withLock { contents in
            guard contents.writing.isEmpty, !contents.jobs.isEmpty, contents.health != .dead else { return false }
            swap(&contents.writing, &contents.jobs)
            return true
        }
    }

    /// Writes what `begin` took.
    package func perform() -> Written {
        let jobs = contents.withLock { $0.writing }
        var written = Written()
        written.writes = jobs.count == 1 ? jobs[0].writes : jobs.flatMap(\.writes)
        do {
            if !written.writes.isEmpty {
                try store.write(written.writes)
                writeCount.add(1, ordering: .relaxed)
            }
        } catch {
            return failed(error)
        }
        let wasFull = contents.withLock { contents in
            defer { contents.health = .good }
            contents.writing.removeAll(keepingCapacity: true)
            return contents.health == .full
        }
        if wasFull { written.events.append(.logRecovered) }
        written.frames = jobs.count == 1 ? jobs[0].framesAfter : jobs.flatMap(\.framesAfter)
        written.events.append(.persisted(jobs.count == 1 ? jobs[0].confirmations : jobs.flatMap(\.confirmations)))
        return written
    }

    private func failed(_ error: any Error) -> Written {
        let cause = error as? MeridianError ?? MeridianError(.storageFailed, "the log: \(error)")
        let health = cause.code == .diskFull ? Health.full : .dead
        var written = Written()
        written.isToBeTriedAgain = health == .full
        let isNews = contents.withLock { contents in
            defer { contents.health = health }
            return contents.health != health
        }
        if isNews { written.events.append(.logFailed(cause)) }
        return written
    }
}
