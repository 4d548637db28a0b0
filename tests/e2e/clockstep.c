/* SPDX-License-Identifier: Apache-2.0
 * A host whose wall clock jumps: preloaded into a program, it adds an offset to CLOCK_REALTIME and
 * to nothing else. The offset, nanoseconds as a native int64_t, stands in the file that
 * SLUICE_CLOCKSTEP names; the file is mapped, so a new offset counts at once. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
/* No machine is up for so long, and no wall clock is set before it: tells a wait until a wall time
 * from a wait until a time since the start. */
#define WALL_S_MIN INT64_C(1000000000)
#define EXPORT __attribute__((visibility("default")))

/* Two threads that race here map the file twice, which harms nothing. */
static int64_t offset_ns(void) {
    static const int64_t none = 0;
    static const int64_t *offset;
    const int64_t *found = __atomic_load_n(&offset, __ATOMIC_ACQUIRE);
    if (!found) {
        const char *path = getenv("SLUICE_CLOCKSTEP");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
        if (fd >= 0) {
            close(fd);
        }
        found = map == MAP_FAILED ? &none : (const int64_t *)map;
        __atomic_store_n(&offset, found, __ATOMIC_RELEASE);
    }
    return __atomic_load_n(found, __ATOMIC_RELAXED);
}

static struct timespec shifted(struct timespec t, int64_t by_ns) {
    int64_t ns = (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec + by_ns;
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static void *next_symbol(const char *name, void **cached) {
    void *found = __atomic_load_n(cached, __ATOMIC_ACQUIRE);
    if (!found) {
        found = dlsym(RTLD_NEXT, name);
        if (!found) {
            abort();
        }
        __atomic_store_n(cached, found, __ATOMIC_RELEASE);
    }
    return found;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *t) {
    static void *cached;
    union {
        void *symbol;
        int (*call)(clockid_t, struct timespec *);
    } real = {next_symbol("clock_gettime", &cached)};
    int rc = real.call(id, t);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        *t = shifted(*t, offset_ns());
    }
    return rc;
}

EXPORT int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    (void)zone; /* obsolete, and no program here passes it */
    struct timespec t;
    int rc = clock_gettime(CLOCK_REALTIME, &t);
    *tv = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return rc;
}

EXPORT time_t time(time_t *ret_now) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (ret_now) {
        *ret_now = t.tv_sec;
    }
    return t.tv_sec;
}

EXPORT int timespec_get(struct timespec *t, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}

/* The kernel waits by its own clock: without this a wait after a step forwards would last as long
 * as the step. */
EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
                                  const struct timespec *restrict until) {
    static void *cached;
    union {
        void *symbol;
        int (*call)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    } real = {next_symbol("pthread_cond_timedwait", &cached)};
    struct timespec kernels = until->tv_sec >= WALL_S_MIN ? shifted(*until, -offset_ns()) : *until;
    return real.call(cond, lock, &kernels);
}
