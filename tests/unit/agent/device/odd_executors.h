/* SPDX-License-Identifier: Apache-2.0
 * Executors that fail or hang, in place of hashing, for test_cl_device.c. */
#ifndef SLUICE_TESTS_UNIT_AGENT_DEVICE_ODD_EXECUTORS_H
#define SLUICE_TESTS_UNIT_AGENT_DEVICE_ODD_EXECUTORS_H

#include <stdatomic.h>
#include <stdlib.h>

#include "agent/device/cl.h"
#include "agent/executors/executor.h"

static int failing_prepare(struct sl_executor *ex, struct sl_error *err) {
    (void)ex;
    return sl_fail(err, SL_DEVICE, "self-test failed: replace the card");
}

struct hanging {
    struct sl_executor base;
    _Atomic(cl_event) gate; /* made by the device's thread, opened by the test */
};

static int hanging_prepare(struct sl_executor *ex, struct sl_error *err) {
    (void)ex;
    (void)err;
    return SL_OK;
}
static void hanging_command(struct sl_executor *ex, struct sl_device_cmd *cmd) {
    (void)ex;
    (void)cmd;
}
static int hanging_enqueue(struct sl_executor *ex, struct sl_launch *ret_launch,
                           struct sl_error *err) {
    struct hanging *h = (struct hanging *)ex;
    cl_int rc = CL_SUCCESS;
    (void)err;
    if (h->gate) {
        return 0;
    }
    cl_event gate = clCreateUserEvent(ex->cl->context, &rc);
    assert_int_equal(rc, CL_SUCCESS);
    assert_int_equal(clEnqueueMarkerWithWaitList(ex->cl->queue, 1, &gate, &ret_launch->first),
                     CL_SUCCESS);
    h->gate = gate;
    clRetainEvent(ret_launch->first);
    ret_launch->last = ret_launch->first;
    return 1;
}
static int hanging_complete(struct sl_executor *ex, struct sl_launch *launch,
                            struct sl_error *err) {
    (void)ex;
    (void)launch;
    (void)err;
    return SL_OK;
}
static int hanging_halted(struct sl_executor *ex, struct sl_error *err) {
    (void)ex;
    (void)err;
    return SL_OK;
}
static void hanging_stats(struct sl_executor *ex, struct sl_device_stats *stats) {
    (void)ex;
    (void)stats;
}
static void hanging_destroy(struct sl_executor *ex) {
    struct hanging *h = (struct hanging *)ex;
    if (h->gate) {
        clReleaseEvent(h->gate);
    }
    free(h);
}

static const struct sl_executor_ops failing_ops = {.name = "sha256d",
                                                   .mode = SL_MODE_HASH,
                                                   .prepare = failing_prepare,
                                                   .command = hanging_command,
                                                   .enqueue = hanging_enqueue,
                                                   .complete = hanging_complete,
                                                   .halted = hanging_halted,
                                                   .stats = hanging_stats,
                                                   .destroy = hanging_destroy};
static const struct sl_executor_ops hanging_ops = {.name = "hanging",
                                                   .mode = SL_MODE_HASH,
                                                   .prepare = hanging_prepare,
                                                   .command = hanging_command,
                                                   .enqueue = hanging_enqueue,
                                                   .complete = hanging_complete,
                                                   .halted = hanging_halted,
                                                   .stats = hanging_stats,
                                                   .destroy = hanging_destroy};

#endif
