#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Wakes one thread: a condition with a memory, so that a signal before the wait is not lost, and with a deadline on
/// the monotonic clock.
package final class WakeSignal: @unchecked Sendable {
    // Shared between threads on purpose; every access to `isSignalled` is under `mutex`.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var isSignalled = false

    package init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        #if canImport(Glibc)
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        #endif
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func signal() {
        pthread_mutex_lock(mutex)
        let wasSignalled = isSignalled
        isSignalled = true
        pthread_mutex_unlock(mutex)
        if !wasSignalled { pthread_cond_signal(condition) }
    }

    /// Waits for a signal, at most until `deadline` (monotonic nanoseconds; `nil` waits without end).
    package func wait(untilNanoseconds deadline: Int64?) {
        pthread_mutex_lock(mutex)
        while !isSignalled {
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            #if canImport(Glibc)
                var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
                if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { break }
            #else
                let left = max(0, deadline - MonotonicTime.nanoseconds())
                var time = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
                if pthread_cond_timedwait_relative_np(condition, mutex, &time) == ETIMEDOUT { break }
            #endif
        }
        isSignalled = false
        pthread_mutex_unlock(mutex)
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
