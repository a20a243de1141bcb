#ifndef CMERIDIANSYSTEM_H
#define CMERIDIANSYSTEM_H

#include <stdint.h>

/// What the kernel says about its own clock. Here because Swift's Glibc module lacks <sys/timex.h>.
struct meridian_kernel_clock {
    /// 0 when the kernel answered, else `errno`; the other fields are then 0.
    int32_t error;
    /// Whether the kernel calls its clock unsynchronised (`TIME_ERROR` or `STA_UNSYNC`).
    int32_t is_unsynchronised;
    /// How far the clock can be from UTC, in microseconds (`maxerror`).
    int64_t maximum_error_us;
};

/// Asks without changing anything, so it needs no privilege.
struct meridian_kernel_clock meridian_kernel_clock_read(void);

/// Takes a semaphore (`sem_t *`), at the latest at a time of the monotonic clock in nanoseconds. Here because Swift's
/// Glibc module lacks `sem_clockwait`. Linux only; elsewhere it does nothing.
/// - Returns: 1 when it was taken, 0 when the time ran out.
int32_t meridian_semaphore_wait(void *semaphore, int64_t deadline_ns);

/// Lets the kernel wake the calling thread when its time has come and not up to 50 us later, which saves it wake-ups
/// (timer slack). Linux only; elsewhere it does nothing.
void meridian_wake_on_time(void);

#endif
