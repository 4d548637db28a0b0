/* SPDX-License-Identifier: Apache-2.0
 * Between stop.c (how the word is written) and stop_probe.c (which way works, and how fast). */
#ifndef SLUICE_AGENT_DEVICE_STOP_INTERNAL_H
#define SLUICE_AGENT_DEVICE_STOP_INTERNAL_H

#include <pthread.h>

#include "agent/device/stop.h"

/* In the order in which they are tried. Mapped memory comes in two kinds, since a driver may put
 * only one of them where a running kernel looks. */
enum sl_stop_way {
    SL_STOP_WAY_SVM,
    SL_STOP_WAY_ALLOC, /* mapped, the driver's own host memory */
    SL_STOP_WAY_USE,   /* mapped, our host memory */
    SL_STOP_WAY_QUEUE,
    SL_STOP_WAY_NONE,
};

struct sl_stop {
    void *svm;
    void *memory; /* USE: ours */
    void *mapped;
    cl_command_queue queue; /* QUEUE: for the helper thread alone */
    pthread_t writer;
    bool writer_runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t wanted;
    uint32_t written;
    bool writing; /* the helper is at it: what it writes is not in `written` yet */
    bool quit;
};

/* Opens the word, cleared, in one way; sets cl->stop_method. Nothing stays open on failure. */
int sl_stop_open_word(struct sl_cl *cl, enum sl_stop_way way, struct sl_error *err);

#endif
