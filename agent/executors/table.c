/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/table.h"

#include "agent/executors/executor.h"

static int create_idle(struct sl_cl *cl, uint32_t launch_ms, const void *arg,
                       struct sl_executor **ret_ex, struct sl_error *err) {
    (void)launch_ms;
    (void)arg;
    return sl_idle_executor_create(cl, ret_ex, err);
}

static int create_hash(struct sl_cl *cl, uint32_t launch_ms, const void *arg,
                       struct sl_executor **ret_ex, struct sl_error *err) {
    (void)arg;
    return sl_hash_executor_create(cl, launch_ms, ret_ex, err);
}

struct sl_executor_factory sl_idle_factory(void) {
    return (struct sl_executor_factory){create_idle, NULL, SL_MODE_IDLE};
}

struct sl_executor_factory sl_hash_factory(void) {
    return (struct sl_executor_factory){create_hash, NULL, SL_MODE_HASH};
}
