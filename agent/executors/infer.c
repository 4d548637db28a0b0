/* SPDX-License-Identifier: Apache-2.0
 * The inference executor: commands, statistics, life. */
#include <stdlib.h>
#include <string.h>

#include "agent/executors/infer_internal.h"
#include "proto/base/text.h"

/* Tokens of a micro-batch: enough to keep every core or the whole GPU busy, few enough that
 * activations stay in a CPU's caches. */
#define CPU_BATCH_TOKENS 512u
#define GPU_BATCH_TOKENS 8192u
#define LINE_TOKENS_MIN 3u /* a text has at least [CLS], one piece, [SEP], or little less */

static struct sl_infer *self(struct sl_executor *ex) {
    return (struct sl_infer *)ex;
}

static int prepare(struct sl_executor *ex, struct sl_error *err) {
    struct sl_infer *x = self(ex);
    x->batch_tokens = ex->cl->is_cpu ? CPU_BATCH_TOKENS : GPU_BATCH_TOKENS;
    int rc = sl_infer_engine_open(ex->cl, x->set, x->batch_tokens, &x->engine, err);
    uint32_t lines_cap = x->batch_tokens / LINE_TOKENS_MIN;
    for (uint32_t i = 0; rc == SL_OK && i < SL_INFER_SLOTS_LANE * x->engine.lane_count; i++) {
        x->slot_count++;
        rc = sl_infer_batch_open(&x->engine, lines_cap, &x->slots[i], err);
    }
    if (rc < 0) {
        return rc;
    }
    x->made_up = calloc(x->batch_tokens, sizeof *x->made_up);
    if (!x->made_up) {
        return sl_fail(err, SL_NOMEM, "self-test");
    }
    return sl_infer_prepare(x, err);
}

/* Lines that cannot run are answered at once; they cost nothing. */
static void refuse_line(struct sl_infer *x, const struct sl_device_unit *unit, uint32_t line,
                        int status) {
    struct sl_device_event event = {.kind = SL_DEVEV_LINE,
                                    .epoch = unit->epoch,
                                    .mode = SL_MODE_INFER,
                                    .unit_id = unit->unit_id,
                                    .at = sl_clock_mono()};
    event.line = (struct sl_device_line){.unit_id = unit->unit_id,
                                         .line = unit->lines[line].line,
                                         .input = unit->lines[line].input,
                                         .tokens = unit->lines[line].n_ids,
                                         .status = status};
    sl_cl_emit(x->base.cl, &event);
}

static void unit_done(struct sl_infer *x, const struct sl_device_unit *unit) {
    struct sl_device_event event = {.kind = SL_DEVEV_UNIT_DONE,
                                    .epoch = unit->epoch,
                                    .mode = SL_MODE_INFER,
                                    .unit_id = unit->unit_id,
                                    .at = sl_clock_mono()};
    sl_cl_emit(x->base.cl, &event);
}

static void refuse_unit(struct sl_infer *x, const struct sl_device_unit *unit, int status) {
    for (uint32_t i = 0; i < unit->n_lines; i++) {
        refuse_line(x, unit, i, status);
    }
    unit_done(x, unit);
}

static void take_unit(struct sl_infer *x, struct sl_device_cmd *cmd) {
    struct sl_device_unit *unit = cmd->unit;
    x->work_asked = false;
    if (!unit || unit->epoch < x->epoch) {
        return; /* of an older grant: dropped, as all units of lower epochs are */
    }
    const struct sl_model *model = sl_model_set_find(x->set, unit->model);
    if (!model) {
        refuse_unit(x, unit, -SL_NOTFOUND);
        return;
    }
    uint32_t index = 0;
    while (sl_model_set_at(x->set, index) != model) {
        index++;
    }
    struct sl_infer_unit *added = NULL;
    if (sl_infer_queue_add(&x->queue, unit, model, index, &added, NULL) < 0) {
        refuse_unit(x, unit, -SL_NOMEM);
        return;
    }
    cmd->unit = NULL; /* the queue's from here on */
    for (uint32_t i = 0; i < unit->n_lines && added->open < unit->n_lines; i++) {
        if (!sl_infer_line_valid(model, &unit->lines[i])) {
            refuse_line(x, unit, i, -SL_INVALID);
        }
    }
    if (added->open == 0) {
        unit_done(x, unit);
        sl_infer_queue_reap(&x->queue);
    }
}

static void command(struct sl_executor *ex, struct sl_device_cmd *cmd) {
    struct sl_infer *x = self(ex);
    uint32_t dropped = 0;
    switch (cmd->kind) {
    case SL_DEVCMD_UNIT:
        take_unit(x, cmd);
        return;
    case SL_DEVCMD_DROP:
        dropped = sl_infer_queue_drop(&x->queue, cmd->unit_id, 0);
        break;
    case SL_DEVCMD_MODE:
        x->epoch = cmd->epoch > x->epoch ? cmd->epoch : x->epoch;
        x->work_asked = false;
        x->opens = true;
        dropped = sl_infer_queue_drop(&x->queue, 0, x->epoch);
        break;
    case SL_DEVCMD_INVALID:
    case SL_DEVCMD_JOB:
    case SL_DEVCMD_CANARY:
    case SL_DEVCMD_QUIT:
        return;
    }
    if (dropped > 0) {
        x->work_asked = false;
        ex->cut = x->launches_queued > 0 && !sl_infer_wanted(x);
        sl_infer_discard(x);
        sl_infer_queue_reap(&x->queue);
    }
}

static int enqueue(struct sl_executor *ex, struct sl_launch *ret_launch, struct sl_error *err) {
    return sl_infer_enqueue(self(ex), ret_launch, err);
}

static int complete(struct sl_executor *ex, struct sl_launch *launch, struct sl_error *err) {
    return sl_infer_complete(self(ex), launch, err);
}

/* What was cut is found out when this mode runs again, not on the way to another one. */
static int halted(struct sl_executor *ex, struct sl_error *err) {
    struct sl_infer *x = self(ex);
    (void)err;
    for (uint32_t i = 0; i < x->line_up_count; i++) {
        x->line_up[i]->strikes = 0;
    }
    x->recover = true;
    return SL_OK;
}

static void stats(struct sl_executor *ex, struct sl_device_stats *stats) {
    const struct sl_infer *x = self(ex);
    stats->tokens_total = x->tokens_total;
    stats->lines_total = x->lines_total;
    stats->model_count = (uint32_t)sl_model_set_count(x->set);
    for (uint32_t i = 0; i < stats->model_count; i++) {
        const struct sl_model *m = sl_model_set_at(x->set, i);
        struct sl_device_model *out = &stats->models[i];
        sl_text_copy(out->id, sizeof out->id, m->id);
        out->max_tokens = m->max_tokens;
        out->tokens_per_s_milli = sl_infer_rate_milli(&x->rates[i].all);
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            out->length_rates_milli[k] = sl_infer_rate_milli(&x->rates[i].length[k]);
        }
    }
}

static void synthetic(struct sl_executor *ex, bool on) {
    struct sl_infer *x = self(ex);
    if (x->synthetic != on) {
        x->synthetic = on;
        x->recover = true; /* what is still queued of the other kind is sorted out then */
        sl_infer_discard(x);
    }
}

static int canary(struct sl_executor *ex, struct sl_error *err) {
    return sl_infer_canary(self(ex), err);
}

static void destroy(struct sl_executor *ex) {
    struct sl_infer *x = self(ex);
    sl_infer_queue_fini(&x->queue);
    for (uint32_t i = 0; i < x->slot_count; i++) {
        if (x->engine.cl) {
            sl_infer_batch_close(&x->engine, &x->slots[i]);
        }
    }
    sl_infer_engine_close(&x->engine);
    free(x->made_up);
    free(x);
}

static const struct sl_executor_ops OPS = {
    .name = "infer",
    .mode = SL_MODE_INFER,
    .prepare = prepare,
    .command = command,
    .enqueue = enqueue,
    .complete = complete,
    .halted = halted,
    .stats = stats,
    .destroy = destroy,
    .synthetic = synthetic,
    .canary = canary,
};

int sl_infer_executor_create(struct sl_cl *cl, const struct sl_model_set *models,
                             uint32_t launch_ms, struct sl_executor **ret_ex,
                             struct sl_error *err) {
    struct sl_infer *x = calloc(1, sizeof *x);
    if (!x) {
        return sl_fail(err, SL_NOMEM, "inference executor");
    }
    x->base = (struct sl_executor){.ops = &OPS, .cl = cl};
    x->set = models;
    x->launch_ms = launch_ms ? launch_ms : 1;
    *ret_ex = &x->base;
    return SL_OK;
}
