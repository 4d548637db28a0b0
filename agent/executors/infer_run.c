/* SPDX-License-Identifier: Apache-2.0
 * Micro-batches into the queue and out of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/infer_internal.h"

/* A vector's length may be off by this much: more means that the device computed nonsense. */
#define LENGTH_TOLERANCE 1e-3
/* An incomplete micro-batch without a stop is tried again this often. */
#define STRIKES_MAX 3u

/* Launch tag: slot number, whether the read-back is in it, how many kernels. */
#define TAG_LAST (1u << 8)
#define TAG_KERNELS_SHIFT 16

static bool pick_wanted(const struct sl_infer *x, const struct sl_infer_pick *pick) {
    return pick->unit ? !pick->unit->dropped : x->synthetic;
}

static bool batch_wanted(const struct sl_infer *x, const struct sl_infer_batch *b) {
    for (uint32_t i = 0; i < b->shape.lines; i++) {
        if (pick_wanted(x, &b->picks[i])) {
            return true;
        }
    }
    return false;
}

bool sl_infer_wanted(const struct sl_infer *x) {
    for (uint32_t i = 0; i < x->line_up_count; i++) {
        if (batch_wanted(x, x->line_up[i])) {
            return true;
        }
    }
    return false;
}

static void leave_line_up(struct sl_infer *x, uint32_t at) {
    x->line_up[at]->used = false;
    x->line_up_count--;
    memmove(&x->line_up[at], &x->line_up[at + 1], (x->line_up_count - at) * sizeof *x->line_up);
}

static void emit_unit_done(struct sl_infer *x, const struct sl_infer_unit *u, int64_t at_ns) {
    struct sl_device_event event = {.kind = SL_DEVEV_UNIT_DONE,
                                    .epoch = u->unit->epoch,
                                    .mode = SL_MODE_INFER,
                                    .unit_id = u->unit->unit_id,
                                    .at = {at_ns}};
    sl_cl_emit(x->base.cl, &event);
}

void sl_infer_discard(struct sl_infer *x) {
    if (x->launches_queued > 0 || (x->recover && sl_infer_wanted(x))) {
        return;
    }
    for (uint32_t i = x->line_up_count; i-- > 0;) {
        struct sl_infer_batch *b = x->line_up[i];
        if (batch_wanted(x, b)) {
            continue;
        }
        for (uint32_t line = 0; line < b->shape.lines; line++) {
            if (b->picks[line].unit) {
                sl_infer_queue_settle(&x->queue, &b->picks[line]);
            }
        }
        leave_line_up(x, i);
    }
    sl_infer_queue_reap(&x->queue);
}

/* The oldest micro-batch of a lane: its place in the line-up, which is full of others if none. */
static uint32_t oldest_of(const struct sl_infer *x, uint32_t lane) {
    uint32_t at = 0;
    while (at < x->line_up_count && x->line_up[at]->shape.lane != lane) {
        at++;
    }
    return at;
}

/* After a stop, with empty queues: where does each micro-batch go on? */
static int recover(struct sl_infer *x, struct sl_error *err) {
    bool later_ran[SL_INFER_SLOTS_MAX] = {false}, lane_ran[SL_LANES_MAX] = {false};
    int rc = SL_OK;
    sl_infer_discard(x); /* often all of it: then there is nothing to read back */
    for (uint32_t i = x->line_up_count; rc == SL_OK && i-- > 0;) {
        bool *ran = &lane_ran[x->line_up[i]->shape.lane];
        rc = sl_infer_batch_read_counts(&x->engine, x->line_up[i], err);
        later_ran[i] = *ran;
        *ran = rc == SL_OK && (*ran || sl_infer_batch_ran(x->line_up[i]));
    }
    for (uint32_t i = 0; rc == SL_OK && i < x->line_up_count; i++) {
        struct sl_infer_batch *b = x->line_up[i];
        if (b->next_step > 0 || b->next_group > 0) {
            x->repeats_total++;
        }
        bool oldest = i == oldest_of(x, b->shape.lane);
        rc = sl_infer_batch_rewind(&x->engine, b, later_ran[i], oldest, err);
    }
    if (rc == SL_OK) {
        x->recover = false;
        sl_infer_discard(x);
    }
    return rc;
}

static uint32_t pick_made_up(struct sl_infer *x, struct sl_infer_batch *b) {
    static const uint32_t LENGTHS[] = {16, 64, 24, 128, 8, 32, 48};
    const struct sl_model *m = sl_model_set_at(x->set, x->synthetic_model);
    uint32_t count = 0, used = 0, at = 0;
    if (!x->synthetic_length) {
        b->picks[count++] = (struct sl_infer_pick){.ids = m->canary_ids, .n_ids = m->canary_tokens};
        used = m->canary_tokens;
    }
    while (!x->synthetic_alone && count < b->lines_cap && used < x->batch_tokens) {
        uint32_t n = x->synthetic_length ? x->synthetic_length
                                         : LENGTHS[count % (sizeof LENGTHS / sizeof *LENGTHS)];
        n = n > m->max_tokens ? m->max_tokens : n;
        n = n > x->batch_tokens - used ? x->batch_tokens - used : n;
        b->picks[count++] = (struct sl_infer_pick){.ids = x->made_up + at, .n_ids = n};
        used += n;
        at += n;
    }
    return count;
}

static void ask_for_work(struct sl_infer *x) {
    if (x->work_asked || x->synthetic || x->queue.tokens_waiting >= 2 * x->batch_tokens) {
        return;
    }
    x->work_asked = true;
    struct sl_device_event event = {.kind = SL_DEVEV_NEED_WORK,
                                    .epoch = x->epoch,
                                    .mode = SL_MODE_INFER,
                                    .at = sl_clock_mono()};
    sl_cl_emit(x->base.cl, &event);
}

/* The micro-batch of a lane that is only partly enqueued. */
static struct sl_infer_batch *begun_batch(struct sl_infer *x, uint32_t lane) {
    for (uint32_t i = 0; i < x->line_up_count; i++) {
        if (!x->line_up[i]->fetched && x->line_up[i]->shape.lane == lane) {
            return x->line_up[i];
        }
    }
    return NULL;
}

static struct sl_infer_batch *new_batch(struct sl_infer *x, uint32_t lane) {
    struct sl_infer_batch *b = NULL;
    for (uint32_t i = 0; i < x->slot_count && !b; i++) {
        b = x->slots[i].used ? NULL : &x->slots[i];
    }
    if (!b) {
        return NULL;
    }
    uint32_t model = x->synthetic_model, count;
    if (x->synthetic) {
        count = pick_made_up(x, b);
    } else {
        struct sl_infer_room room = {x->batch_tokens, b->lines_cap};
        count = sl_infer_queue_pick(&x->queue, room, b->picks, &model);
    }
    ask_for_work(x);
    if (count == 0) {
        return NULL;
    }
    sl_infer_batch_fill(&x->engine, model, lane, count, b);
    x->line_up[x->line_up_count++] = b;
    return b;
}

/* The micro-batch to go on with: of the lane that has less queued, the one that is only partly
 * enqueued, else a new one; without work for that lane what the other one has begun. Else NULL. */
static struct sl_infer_batch *next_batch(struct sl_infer *x) {
    uint32_t lane = 0;
    /* Where running kernels see no stop word, as little as possible may be queued. */
    bool both = x->engine.lane_count > 1 && x->base.cl->stop_method != SL_STOP_NONE;
    if (both && x->times.lanes[1].queued < x->times.lanes[0].queued) {
        lane = 1;
    }
    struct sl_infer_batch *b = begun_batch(x, lane);
    b = b ? b : new_batch(x, lane);
    return b ? b : begun_batch(x, 1 - lane);
}

/* A launch under construction: its first and its latest event. */
struct building {
    struct sl_launch launch;
    uint32_t kernels;
    double left_ns; /* of the length that a launch aims at */
};

static void add_event(struct building *b, cl_event event) {
    if (!b->launch.first) {
        b->launch.first = event;
        clRetainEvent(event);
    }
    if (b->launch.last) {
        clReleaseEvent(b->launch.last);
    }
    b->launch.last = event;
}

static void release_events(struct building *b) {
    if (b->launch.first) {
        clReleaseEvent(b->launch.first);
    }
    if (b->launch.last) {
        clReleaseEvent(b->launch.last);
    }
}

/* One more kernel, or as many of its work-groups as fit into the launch. 1: enqueued; 0: the launch
 * is long enough. */
static int add_kernel(struct sl_infer *x, struct sl_infer_batch *b, struct building *to,
                      struct sl_error *err) {
    uint32_t groups = sl_infer_step_groups(&x->engine, &b->shape, b->next_step);
    uint32_t rest = groups - b->next_group;
    double cost = (double)sl_infer_step_cost(&b->shape, b->next_step) * rest / groups;
    double ns = cost * x->ns_per_cost;
    uint32_t count = rest;
    if (ns > to->left_ns * 1.25) {
        if (to->kernels > 0) {
            return 0;
        }
        double share = to->left_ns / ns * rest;
        count = share < 1 ? 1 : (uint32_t)share;
    }
    struct sl_infer_part part = {b->next_step, b->next_group, count};
    cl_event event = NULL;
    int rc = sl_infer_step_enqueue(&x->engine, &b->shape, part, &event, err);
    if (rc < 0) {
        return rc;
    }
    add_event(to, event);
    to->kernels++;
    to->left_ns -= ns;
    b->next_group += count;
    if (b->next_group == groups) {
        b->next_group = 0;
        b->next_step++;
    }
    return 1;
}

/* Of a usual launch. */
static uint32_t launch_kernels(const struct sl_infer *x) {
    return SL_INFER_QUEUED_KERNELS / (SL_INFER_LAUNCHES_LANE * x->engine.lane_count);
}

static int build_launch(struct sl_infer *x, struct sl_infer_batch *b, struct building *to,
                        struct sl_error *err) {
    int rc = b->uploaded ? SL_OK : sl_infer_batch_upload(&x->engine, b, err);
    uint32_t most = to->launch.opening ? SL_INFER_OPENING_KERNELS : launch_kernels(x);
    bool more = true;
    while (rc >= 0 && more && b->next_step < b->steps && to->kernels < most) {
        rc = add_kernel(x, b, to, err);
        more = rc > 0;
    }
    if (rc < 0 || b->next_step < b->steps) {
        return rc < 0 ? rc : SL_OK;
    }
    cl_event event = NULL;
    rc = sl_infer_batch_fetch(&x->engine, b, &event, err);
    if (rc == SL_OK) {
        add_event(to, event);
    }
    return rc;
}

int sl_infer_enqueue(struct sl_infer *x, struct sl_launch *ret_launch, struct sl_error *err) {
    if (x->recover) {
        if (x->launches_queued > 0) {
            return 0;
        }
        int rc = recover(x, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (x->launches_queued > 0 && x->kernels_queued + launch_kernels(x) > SL_INFER_QUEUED_KERNELS) {
        return 0;
    }
    struct sl_infer_batch *b = next_batch(x);
    if (!b) {
        return 0;
    }
    struct building to = {.launch.opening = x->opens, .left_ns = x->launch_ms * 1e6};
    int rc = build_launch(x, b, &to, err);
    if (rc < 0) {
        release_events(&to);
        return rc;
    }
    x->opens = false;
    clFlush(x->engine.lanes[b->shape.lane].queue);
    to.launch.lane = b->shape.lane;
    to.launch.tag = (uint64_t)(b - x->slots) | (b->fetched ? TAG_LAST : 0) |
                    (uint64_t)to.kernels << TAG_KERNELS_SHIFT;
    sl_infer_times_queued(&x->times, b->shape.lane, sl_clock_mono().ns);
    x->launches_queued++;
    x->kernels_queued += to.kernels;
    *ret_launch = to.launch;
    return 1;
}

static bool vector_good(const float *v, uint32_t n) {
    double squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        squares += (double)v[i] * (double)v[i];
    }
    /* written so that NaN fails */
    return fabs(sqrt(squares) - 1) <= LENGTH_TOLERANCE;
}

static void emit_line(struct sl_infer *x, const struct sl_infer_pick *pick, const float *vector,
                      uint32_t dim, int64_t at_ns) {
    const struct sl_device_unit *unit = pick->unit->unit;
    struct sl_device_event event = {.kind = SL_DEVEV_LINE,
                                    .epoch = unit->epoch,
                                    .mode = SL_MODE_INFER,
                                    .unit_id = unit->unit_id,
                                    .at = {at_ns}};
    event.line = (struct sl_device_line){.unit_id = unit->unit_id,
                                         .line = unit->lines[pick->line].line,
                                         .input = unit->lines[pick->line].input,
                                         .tokens = pick->n_ids,
                                         .status = -SL_DEVICE,
                                         .dim = dim};
    if (vector_good(vector, dim)) {
        event.line.vector = malloc(dim * sizeof *vector);
        event.line.status = event.line.vector ? SL_OK : -SL_NOMEM;
    }
    if (event.line.vector) {
        memcpy(event.line.vector, vector, dim * sizeof *vector);
    }
    sl_cl_emit(x->base.cl, &event);
}

static void count_work(struct sl_infer *x, const struct sl_infer_batch *b) {
    if (b->repeated || b->busy_ns <= 0 || (x->synthetic && x->synthetic_alone)) {
        return; /* the time of a cut micro-batch says nothing about speed */
    }
    double ns = (double)b->busy_ns;
    sl_infer_rate_add(&x->rates[b->shape.model - x->engine.models],
                      &b->shape.model->model->bert->config, b->picks, b->shape.lines, ns);
    double fresh = ns / (double)sl_infer_batch_cost(b);
    x->ns_per_cost = x->ns_per_cost > 0 ? x->ns_per_cost * 0.8 + fresh * 0.2 : fresh;
}

static void finish(struct sl_infer *x, struct sl_infer_batch *b, int64_t at_ns) {
    uint32_t dim = b->shape.model->model->bert->config.n_embd;
    count_work(x, b);
    for (uint32_t i = 0; i < b->shape.lines; i++) {
        struct sl_infer_pick *pick = &b->picks[i];
        if (!pick->unit) {
            continue;
        }
        if (!pick->unit->dropped) {
            emit_line(x, pick, b->vectors + (size_t)i * dim, dim, at_ns);
            x->lines_total++;
            x->tokens_total += pick->n_ids;
        }
        if (sl_infer_queue_settle(&x->queue, pick)) {
            emit_unit_done(x, pick->unit, at_ns);
        }
    }
    if (x->synthetic && !b->picks[0].unit) {
        x->synthetic_done++;
        if (x->synthetic_vector) {
            memcpy(x->synthetic_vector, b->vectors, dim * sizeof *b->vectors);
        }
    }
    leave_line_up(x, oldest_of(x, b->shape.lane));
    sl_infer_queue_reap(&x->queue);
}

int sl_infer_complete(struct sl_infer *x, const struct sl_launch *launch, struct sl_error *err) {
    struct sl_infer_batch *b = &x->slots[launch->tag & 0xff];
    x->launches_queued--;
    x->kernels_queued -= (uint32_t)(launch->tag >> TAG_KERNELS_SHIFT);
    b->busy_ns += sl_infer_times_ended(&x->times, launch->lane, launch->start_ns, launch->end_ns);
    if (!(launch->tag & TAG_LAST)) {
        return SL_OK;
    }
    if (!x->recover && b == x->line_up[oldest_of(x, launch->lane)] &&
        sl_infer_batch_whole(&x->engine, b)) {
        finish(x, b, launch->end_ns);
        return SL_OK;
    }
    /* Cut. `halted` follows a stop; if none was set the device loses work by itself. */
    x->recover = true;
    if (++b->strikes > STRIKES_MAX) {
        return sl_fail(err, SL_DEVICE, "the device left out work-groups %u times without a stop",
                       b->strikes);
    }
    return SL_OK;
}
