/* SPDX-License-Identifier: Apache-2.0
 * Re-tests of a device in service: known answers again, between two launches. A switch that is
 * asked for meanwhile, or a new block, comes first: the stop word cuts the test short, which then
 * says nothing and is done again later. */
#include <string.h>

#include "agent/device/cl_device_internal.h"

#define AGAIN_NS (2 * SL_NS_PER_S)
#define AGAIN_CUT_NS (SL_NS_PER_S / 10) /* after a new block: the device stays what it is */

/* The stop word is set, or was while a test ran: what the device left out is no fault of its. */
static bool stopped(struct sl_cl_device *d) {
    return sl_cl_device_halt_wanted(d) || sl_cl_device_cut_wanted(d);
}

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
        if (stopped(d)) {
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
    if (rc != SL_OK || stopped(d)) {
        return rc;
    }
    struct sl_error why = {0};
    int64_t began_ns = sl_clock_mono().ns; /* from here on the device does nothing else */
    sl_watch_alive(d);
    int tested = test_all(d, &why);
    sl_watch_alive(d);
    if (tested == 0 || stopped(d)) {
        int64_t again_ns = sl_cl_device_cut_wanted(d) ? AGAIN_CUT_NS : AGAIN_NS;
        d->canary_due_ns = sl_clock_mono().ns + again_ns;
        return SL_OK;
    }
    struct sl_device_event event = {.kind = SL_DEVEV_CANARY,
                                    .epoch = d->stats.epoch,
                                    .mode = d->stats.mode,
                                    .at = sl_clock_mono()};
    event.unit_id = (uint64_t)(event.at.ns - began_ns) / 1000;
    d->canary_wanted = false;
    if (tested < 0) {
        memcpy(event.text, why.text, sizeof event.text);
    }
    sl_cl_emit(&d->cl, &event);
    return SL_OK;
}
