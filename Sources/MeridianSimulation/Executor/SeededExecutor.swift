import Foundation
import MeridianCore
import Synchronization

/// Runs Swift tasks on one thread, one job after the other, and lets a seed choose which of the ready ones is next.
///
/// Tasks that begin here stay here: child tasks, `async let`, task groups and default actors inherit the preference
/// (SE-0417). What does not inherit it escapes: `Task { }` and `Task.detached`, `Task.sleep`, the main actor,
/// and continuations that another thread resumes. Escapes would make two runs of one seed differ, so each is recorded
/// with its name (`EscapeWatch`), the job is run here all the same so that nothing hangs, and the run fails.
///
/// The world alternates: it runs ready jobs until there are none, and then lets virtual time go on to the next event,
/// which may make others ready.
final class SeededExecutor: TaskExecutor, @unchecked Sendable {
    private var ready: [UnownedJob] = []
    /// Whether `ready` holds anything: asked after every event.
    private var isAnyReady = false
    private var random: SplitMix64
    private let thread = pthread_self()
    /// What other threads have enqueued.
    private let foreign = Mutex<[UnownedJob]>([])
    private let hasForeign = Atomic<Bool>(false)
    private let escapes = Mutex<[String]>([])
    private let escapeNoted = Atomic<Bool>(false)
    private(set) var jobCount: UInt64 = 0

    /// Belongs to the thread that makes it.
    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        EscapeWatch.install()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if pthread_equal(pthread_self(), thread) != 0 {
            makeReady(job)
        } else {
            noteEscape(
                "a task left the simulation, as Task.sleep, the main actor and callbacks of other threads make it, and "
                    + "came back on another thread" + EscapeWatch.culprit())
            // After the note: the job may end the run.
            foreign.withLock { $0.append(job) }
            hasForeign.store(true, ordering: .releasing)
        }
    }

    /// Starts a task here. Its result comes with `Handle.result`.
    func start<Output: Sendable>(_ body: @escaping @Sendable () async throws -> Output) -> Handle<Output> {
        let handle = Handle<Output>()
        Task(executorPreference: self) {
            do { handle.finish(.success(try await body())) } catch { handle.finish(.failure(error)) }
        }
        return handle
    }

    /// Runs jobs until none is ready.
    /// - Returns: how many ran.
    @discardableResult
    func runReadyJobs() -> Int {
        takeForeign()
        guard isAnyReady else { return 0 }
        precondition(pthread_equal(pthread_self(), thread) != 0, "a simulation runs on the thread that made it")
        var count = 0
        EscapeWatch.enter(self)
        while !ready.isEmpty {
            let position = ready.count == 1 ? 0 : Int(random.below(UInt64(ready.count)))
            let job = ready[position]
            ready[position] = ready[ready.count - 1]
            ready.removeLast()
            job.runSynchronously(on: asUnownedTaskExecutor())
            count += 1
            takeForeign()
        }
        isAnyReady = false
        EscapeWatch.leave()
        jobCount &+= UInt64(count)
        return count
    }

    /// Gives what has left the simulation a moment of real time to come back, so that it is known as an escape.
    func awaitEscapes() {
        let end = MonotonicTime.nanoseconds() + escapePatienceNanoseconds
        while !hasEscaped, MonotonicTime.nanoseconds() < end {
            usleep(10_000)
            takeForeign()
        }
    }

    /// How much real time that is. Where Swift's threads are all busy, what has left comes back late.
    var escapePatienceNanoseconds: Int64 = 500_000_000

    /// Asked for after every event, so it looks at a flag first.
    private func takeForeign() {
        guard hasForeign.load(ordering: .acquiring) else { return }
        hasForeign.store(false, ordering: .relaxed)
        foreign.withLock { jobs in
            guard !jobs.isEmpty else { return }
            for job in jobs { makeReady(job) }
            jobs.removeAll()
        }
    }

    private func makeReady(_ job: UnownedJob) {
        ready.append(job)
        isAnyReady = true
    }

    /// A job that went past this executor is brought back.
    func recapture(_ job: UnownedJob, _ description: String) {
        makeReady(job)
        noteEscape(description)
    }

    private func noteEscape(_ description: String) {
        escapes.withLock { if !$0.contains(description) { $0.append(description) } }
        escapeNoted.store(true, ordering: .releasing)
    }

    /// Asked for after every event.
    var hasEscaped: Bool { escapeNoted.load(ordering: .acquiring) }
    /// What escaped, each once.
    var escaped: [String] { escapes.withLock { $0 } }

    /// A task's end.
    final class Handle<Output: Sendable>: Sendable {
        private let state = Mutex<Result<Output, any Error>?>(nil)
        fileprivate func finish(_ result: Result<Output, any Error>) { state.withLock { $0 = result } }
        /// `nil` while the task runs.
        var result: Result<Output, any Error>? { state.withLock { $0 } }
    }
}
