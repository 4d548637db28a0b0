/* SPDX-License-Identifier: Apache-2.0
 * Re-tests of a device in service: known answers again, between two launches. A switch that is
 * asked for meanwhile comes first: the stop word cuts the test short, which then says nothing and
 * is done again later. */
#include <string.h>

#include "agent/device/cl_device_internal.h"

#define AGAIN_NS (2 * SL_NS_PER_S)

/* 1: all that could be tested gave the known answers; 0: nothing could be tested now. */
static int test_all(struct sl_cl_device *d, struct sl_error *err) {
    int tested = 0;
    for (int mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        struct sl_executor *ex = d->executors[mode];
        int rc = ex && ex->ops->canary ? ex->ops->canary(ex, err) : -SL_AGAIN;
        if (rc == SL_OK) {
            tested = 1;
        } else if (rc != -SL_AGAIN) {
            return rc;
        }
        if (sl_cl_device_halt_wanted(d)) {
            return 0;
        }
    }
    return tested;
}

int sl_cl_device_canary(struct sl_cl_device *d, struct sl_error *err) {
    int64_t now_ns = sl_clock_mono().ns;
    if (!d->canary_wanted || now_ns < d->canary_due_ns || d->started_wanted) {
        return SL_OK;
    }
    /* What is queued runs out by itself: launches are short, and few are ahead. */
    int rc = sl_flights_drain(d, err);
    d->starved = true;
    if (rc != SL_OK || sl_cl_device_halt_wanted(d)) {
        return rc;
    }
    struct sl_error why = {0};
    sl_watch_begin(d, (int64_t)d->config.hang_ms * SL_NS_PER_MS);
    int tested = test_all(d, &why);
    sl_watch_end(d);
    if (tested == 0 || sl_cl_device_halt_wanted(d)) {
        d->canary_due_ns = sl_clock_mono().ns + AGAIN_NS;
        return SL_OK;
    }
    struct sl_device_event event = {.kind = SL_DEVEV_CANARY,
                                    .epoch = d->stats.epoch,
                                    .mode = d->stats.mode,
                                    .at = sl_clock_mono()};
    d->canary_wanted = false;
    if (tested < 0) {
        memcpy(event.text, why.text, sizeof event.text);
    }
    sl_cl_emit(&d->cl, &event);
    return SL_OK;
}
