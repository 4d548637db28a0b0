/* SPDX-License-Identifier: Apache-2.0
 * Device time of launches in two lanes. While both lanes run the device belongs half to each, so a
 * launch takes less of the device's time than passes from its start to its end: what micro-batches
 * have taken adds up to the time in which the device was busy. */
#ifndef SLUICE_AGENT_EXECUTORS_INFER_TIMES_H
#define SLUICE_AGENT_EXECUTORS_INFER_TIMES_H

#include <stdint.h>

#include "agent/executors/executor.h"

struct sl_infer_times {
    int64_t shared_ns; /* the device's time up to here is shared out */
    struct {
        uint32_t queued;  /* launches */
        int64_t since_ns; /* the oldest of them runs from here on, at the earliest */
        int64_t own_ns;   /* shared out to it so far */
    } lanes[SL_LANES_MAX];
};

void sl_infer_times_queued(struct sl_infer_times *times, uint32_t lane, int64_t now_ns);
/* The lane's oldest launch ended; returns the device time that was its own. All time up to its end
 * is shared out now, between it and what the other lane has queued: how many launches of the other
 * lane end meanwhile, and in which order ends are told, makes no difference to the sum. */
int64_t sl_infer_times_ended(struct sl_infer_times *times, uint32_t lane, int64_t start_ns,
                             int64_t end_ns);

#endif
