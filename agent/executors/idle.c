/* SPDX-License-Identifier: Apache-2.0
 * Idle is a mode like the others (design 6): where nothing pays for its power, a device stops. */
#include <stdlib.h>

#include "agent/executors/executor.h"

static int idle_prepare(struct sl_executor *ex, struct sl_error *err) {
    (void)ex;
    (void)err;
    return SL_OK;
}

static void idle_command(struct sl_executor *ex, struct sl_device_cmd *cmd) {
    (void)ex;
    (void)cmd;
}

static int idle_enqueue(struct sl_executor *ex, struct sl_launch *ret_launch,
                        struct sl_error *err) {
    (void)ex;
    (void)ret_launch;
    (void)err;
    return 0;
}

static int idle_complete(struct sl_executor *ex, struct sl_launch *launch, struct sl_error *err) {
    (void)ex;
    (void)launch;
    return sl_fail(err, SL_BADSTATE, "the idle mode was handed a launch");
}

static int idle_halted(struct sl_executor *ex, struct sl_error *err) {
    (void)ex;
    (void)err;
    return SL_OK;
}

static void idle_stats(struct sl_executor *ex, struct sl_device_stats *stats) {
    (void)ex;
    (void)stats;
}

static void idle_destroy(struct sl_executor *ex) {
    free(ex);
}

/* Nothing is made up for idle: an empty queue is what a switch from or to it meets. */
static void idle_synthetic(struct sl_executor *ex, bool on) {
    (void)ex;
    (void)on;
}

static const struct sl_executor_ops idle_ops = {
    .name = "idle",
    .mode = SL_MODE_IDLE,
    .prepare = idle_prepare,
    .command = idle_command,
    .enqueue = idle_enqueue,
    .complete = idle_complete,
    .halted = idle_halted,
    .stats = idle_stats,
    .destroy = idle_destroy,
    .synthetic = idle_synthetic,
};

int sl_idle_executor_create(struct sl_cl *cl, struct sl_executor **ret_ex, struct sl_error *err) {
    struct sl_executor *ex = calloc(1, sizeof *ex);
    if (!ex) {
        return sl_fail(err, SL_NOMEM, "no memory for the idle executor");
    }
    ex->ops = &idle_ops;
    ex->cl = cl;
    *ret_ex = ex;
    return SL_OK;
}
