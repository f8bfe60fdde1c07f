/* A wall clock that can be set: preloaded (LD_PRELOAD) into a process, it shifts the time of day.
 *
 * The file that SHIFTED_CLOCK names holds an int64: nanoseconds to add to CLOCK_REALTIME, which may change at
 * any time. Monotonic clocks stay as they are. A wait until a time of day goes on until the shifted clock has
 * reached that time, as the kernel would have it: a clock set back lengthens the waits that are under way, a clock
 * set forward ends them.
 *
 * Left out, because neither librdkafka nor CPython 3.11 or later waits by them here: sem_timedwait,
 * pthread_mutex_timedlock, clock_nanosleep and timerfd with CLOCK_REALTIME. Needs glibc 2.30.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define SLICE (20 * SECOND / 1000)
#define COUNTERS 4096
#define MONOTONIC_BIT 2 /* of a condition variable's __wrefs in glibc */

static _Atomic int64_t *offset;
static _Atomic unsigned signals[COUNTERS];
static int (*real_signal)(pthread_cond_t *), (*real_broadcast)(pthread_cond_t *);

/* The newest version of a function: the oldest one works on another layout of condition variables. */
static void *real(const char *name)
{
    void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
    return found ? found : dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    real_signal = (int (*)(pthread_cond_t *))real("pthread_cond_signal");
    real_broadcast = (int (*)(pthread_cond_t *))real("pthread_cond_broadcast");
    const char *path = getenv("SHIFTED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        abort(); /* A true clock would pass for a shifted one. */
    offset = map;
    close(file);
}

static int64_t ns_of(const struct timespec *at) { return at->tv_sec * SECOND + at->tv_nsec; }

static struct timespec timespec_of(int64_t ns) { return (struct timespec){ns / SECOND, ns % SECOND}; }

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    syscall(SYS_clock_gettime, clock, &now);
    int shifted = offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE);
    return ns_of(&now) + (shifted ? atomic_load(offset) : 0);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, now);
    *now = timespec_of(now_ns(clock));
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    int64_t ns = now_ns(CLOCK_REALTIME);
    *now = (struct timeval){ns / SECOND, ns % SECOND / 1000};
    return 0;
}

time_t time(time_t *into)
{
    time_t now = now_ns(CLOCK_REALTIME) / SECOND;
    return into ? *into = now : now;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

static _Atomic unsigned *signals_of(const void *condition)
{
    return &signals[(uintptr_t)condition / 16 % COUNTERS];
}

/* One wait in slices. A signal that falls between two slices would be lost: it is counted, and ends the wait. */
static int wait_shifted(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until)
{
    unsigned before = atomic_load(signals_of(condition));
    for (;;) {
        int64_t left = until - now_ns(CLOCK_REALTIME);
        struct timespec slice = timespec_of(now_ns(CLOCK_MONOTONIC) + (left < 0 ? 0 : left < SLICE ? left : SLICE));
        int result = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &slice);
        if (result != ETIMEDOUT || until <= now_ns(CLOCK_REALTIME))
            return result;
        if (atomic_load(signals_of(condition)) != before)
            return 0;
    }
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (condition->__data.__wrefs & MONOTONIC_BIT)
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
    return wait_shifted(condition, mutex, ns_of(until));
}

/* In glibc the variables of C11 are those of POSIX. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    int result = wait_shifted((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, ns_of(until));
    return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}

int pthread_cond_signal(pthread_cond_t *condition)
{
    atomic_fetch_add(signals_of(condition), 1);
    return real_signal(condition);
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
    atomic_fetch_add(signals_of(condition), 1);
    return real_broadcast(condition);
}

int cnd_signal(cnd_t *condition)
{
    return pthread_cond_signal((pthread_cond_t *)condition) ? thrd_error : thrd_success;
}

int cnd_broadcast(cnd_t *condition)
{
    return pthread_cond_broadcast((pthread_cond_t *)condition) ? thrd_error : thrd_success;
}
