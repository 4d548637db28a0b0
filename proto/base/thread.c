/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/thread.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONG_SLICE_NS 50000000

/* sched_setattr(2), first version; the C library has no wrapper for it. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* of an ordinary thread: its slice; 0: the usual one */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

static void set(int nice, uint64_t slice_ns) {
    if (sched_getscheduler(0) != SCHED_OTHER) {
        return; /* somebody chose another policy for us */
    }
    struct attributes attributes = {
        .size = sizeof attributes, .policy = SCHED_OTHER, .nice = nice, .runtime_ns = slice_ns};
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) {
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
    }
}

void sl_thread_name(const char *name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

void sl_thread_prompt(int slice_us) {
    set(getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)), (uint64_t)slice_us * 1000);
}

void sl_thread_patient(int nice) {
    int now = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    set(now + nice > 19 ? 19 : now + nice, LONG_SLICE_NS);
}

void sl_process_patient(int nice) {
    if (getsid(0) != getpid()) {
        return;
    }
    FILE *file = fopen("/proc/self/autogroup", "we");
    if (file) {
        fprintf(file, "%d", nice);
        fclose(file);
    }
}
