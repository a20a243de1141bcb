#define _GNU_SOURCE
#include "CMeridianSystem.h"

#if defined(__linux__)
#include <errno.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <time.h>

int32_t meridian_semaphore_wait(void *semaphore, int64_t deadline_ns) {
    struct timespec deadline = {
        .tv_sec = deadline_ns / 1000000000,
        .tv_nsec = deadline_ns % 1000000000,
    };
    while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &deadline) != 0) {
        if (errno != EINTR) {
            return 0;
        }
    }
    return 1;
}

void meridian_wake_on_time(void) {
    // It fails on no kernel that has it, and without it nothing is lost but latency.
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

#else

int32_t meridian_semaphore_wait(void *semaphore, int64_t deadline_ns) {
    (void)semaphore;
    (void)deadline_ns;
    return 0;
}

void meridian_wake_on_time(void) {}

#endif
