import CMeridianSystem
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
    import Dispatch
#endif

/// Wakes one thread: a signal with a memory, so that one before the wait is not lost, and a wait with a deadline on the
/// monotonic clock. Several signals before the thread looks count as one.
///
/// A semaphore, not a condition variable: waking a thread that waits on a condition makes it fight for the mutex, which
/// doubled the system calls of a lonely commit.
package final class WakeSignal: @unchecked Sendable {
    // The semaphore is made for sharing between threads, and never moves.
    private let isSignalled = Atomic<Bool>(false)
    #if canImport(Glibc)
        private let semaphore: UnsafeMutablePointer<sem_t>

        package init() {
            semaphore = .allocate(capacity: 1)
            let code = sem_init(semaphore, 0, 0)
            precondition(code == 0, "no semaphore is left: \(errno)")
        }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }

        private func post() { sem_post(semaphore) }

        private func sleep(until deadline: Int64?) {
            guard let deadline else {
                while sem_wait(semaphore) != 0, errno == EINTR {}
                return
            }
            _ = meridian_semaphore_wait(semaphore, max(0, deadline))
        }
    #else
        private let semaphore = DispatchSemaphore(value: 0)

        package init() {}

        private func post() { semaphore.signal() }

        private func sleep(until deadline: Int64?) {
            guard let deadline else { return semaphore.wait() }
            let left = max(0, deadline - MonotonicTime.nanoseconds())
            _ = semaphore.wait(timeout: .now() + .nanoseconds(Int(left)))
        }
    #endif

    /// Lets waits of the current thread end when their time has come. Linux ends them up to 50 µs later otherwise,
    /// which would make each link so much longer. Not for threads of which there are many: fewer wake-ups are worth
    /// more.
    package static func wakeThisThreadOnTime() { meridian_wake_on_time() }

    package func signal() {
        if !isSignalled.exchange(true, ordering: .acquiringAndReleasing) { post() }
    }

    /// Waits for a signal, at most until `deadline` (monotonic nanoseconds; `nil` waits without end). It may end early.
    package func wait(untilNanoseconds deadline: Int64?) {
        sleep(until: deadline)
        // What was to be done is done after this; a signal from now on posts again.
        _ = isSignalled.exchange(false, ordering: .acquiringAndReleasing)
    }
}

/// The machine's monotonic clock.
package enum MonotonicTime {
    package static func nanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
