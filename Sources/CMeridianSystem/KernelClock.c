#include "CMeridianSystem.h"

#include <errno.h>

#if defined(__linux__)
#include <sys/timex.h>

struct meridian_kernel_clock meridian_kernel_clock_read(void) {
    struct timex request = {.modes = 0};
    int state = ntp_adjtime(&request);
    if (state < 0) {
        return (struct meridian_kernel_clock){.error = errno};
    }
    return (struct meridian_kernel_clock){
        .is_unsynchronised = state == TIME_ERROR || (request.status & STA_UNSYNC) != 0,
        .maximum_error_us = request.maxerror,
    };
}

#else

struct meridian_kernel_clock meridian_kernel_clock_read(void) {
    return (struct meridian_kernel_clock){.error = ENOSYS};
}

#endif
