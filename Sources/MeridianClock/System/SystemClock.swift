#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The operating system's clocks, without a system call on Linux (vDSO).
enum SystemClock {
    /// Nanoseconds since the machine started, suspension included: intervals are aged by it, and a suspended machine
    /// ages too. It never goes back.
    static func monotonicNanoseconds() -> Int64 {
        #if os(Linux)
            return read(CLOCK_BOOTTIME)
        #else
            // On Darwin this one counts suspension; CLOCK_UPTIME_RAW is the one that does not.
            return read(CLOCK_MONOTONIC)
        #endif
    }

    /// Nanoseconds since the Unix epoch, as set on this machine; it can be stepped in both directions.
    static func realtimeNanoseconds() -> Int64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        let result = clock_gettime(clock, &time)
        precondition(result == 0, "clock_gettime(\(clock)) failed with errno \(errno)")
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
