/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/executors/executor.h"
#include "agent/executors/table.h"

static int create_infer(struct sl_cl *cl, uint32_t launch_ms, const void *arg,
                        struct sl_executor **ret_ex, struct sl_error *err) {
    return sl_infer_executor_create(cl, arg, launch_ms, ret_ex, err);
}

struct sl_executor_factory sl_infer_factory(const struct sl_model_set *models) {
    return (struct sl_executor_factory){create_infer, models, SL_MODE_INFER};
}
