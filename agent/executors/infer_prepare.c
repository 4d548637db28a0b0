/* SPDX-License-Identifier: Apache-2.0
 * What an inference device does before it is offered. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/infer_internal.h"
#include "agent/executors/infer_reference.h"
#include "proto/base/cleanup.h"

#define CANARY_GAP_MAX 1e-5 /* 1 - cosine; a right device stays below 1e-7 */
#define MEASURE_NS (1.0 * SL_NS_PER_S)
#define MEASURE_BATCHES_MIN 3u
#define MEASURE_LENGTH_NS (0.1 * SL_NS_PER_S)
#define QUEUED_MAX (SL_INFER_LAUNCHES_LANE * SL_LANES_MAX)

/* What the device thread does later: wait for the oldest launch, read its times, hand it back. */
static int wait_oldest(struct sl_infer *x, struct sl_launch *launches, uint32_t *count,
                       struct sl_error *err) {
    struct sl_launch launch = launches[0];
    (*count)--;
    memmove(launches, launches + 1, *count * sizeof *launches);
    cl_int code = clWaitForEvents(1, &launch.last);
    int64_t ignored = 0;
    int rc = code == CL_SUCCESS ? SL_OK : sl_cl_fail(err, code, "self-test");
    if (rc == SL_OK) {
        rc = sl_cl_event_times(x->base.cl, launch.first, &launch.start_ns, &ignored, err);
    }
    if (rc == SL_OK) {
        rc = sl_cl_event_times(x->base.cl, launch.last, &ignored, &launch.end_ns, err);
    }
    clReleaseEvent(launch.first);
    clReleaseEvent(launch.last);
    return rc < 0 ? rc : sl_infer_complete(x, &launch, err);
}

/* Runs made-up work until at least `batches` micro-batches are done and the model's rate, of texts
 * as long as the made-up ones, rests on min_ns of device time. */
static int run_made_up(struct sl_infer *x, uint32_t batches, double min_ns, struct sl_error *err) {
    struct sl_launch launches[QUEUED_MAX];
    uint32_t count = 0, queued_max = SL_INFER_LAUNCHES_LANE * x->engine.lane_count;
    const struct sl_infer_rate *rates = &x->rates[x->synthetic_model];
    const struct sl_infer_span_rate *rate =
        x->synthetic_length ? &rates->length[sl_length_class(x->synthetic_length)] : &rates->all;
    int rc = SL_OK;
    x->synthetic = true;
    x->synthetic_done = 0;
    while (rc >= 0 && (x->synthetic_done < batches || rate->ns < min_ns)) {
        rc = count < queued_max ? sl_infer_enqueue(x, &launches[count], err) : 0;
        if (rc > 0) {
            count++;
        } else if (rc == 0 && count > 0) {
            rc = wait_oldest(x, launches, &count, err);
        } else if (rc == 0) {
            rc = sl_fail(err, SL_DEVICE, "nothing to enqueue in the self-test");
        }
    }
    while (count > 0) { /* also after a failure: the events must not stay */
        int drained = wait_oldest(x, launches, &count, rc < 0 ? NULL : err);
        rc = rc < 0 ? rc : drained;
    }
    x->synthetic = false;
    if (rc >= 0) {
        sl_infer_discard(x);
    }
    return rc < 0 ? rc : SL_OK;
}

static int check_canary(const struct sl_model *m, const float *vector, const char *how,
                        struct sl_error *err) {
    double gap = sl_infer_cosine_gap(vector, m->canary_vector, m->bert->config.n_embd);
    if (!(fabs(gap) <= CANARY_GAP_MAX)) {
        return sl_fail(
            err, SL_DEVICE,
            "model '%s': the known answer is off by %.3g (1 - cosine, %s); the device or "
            "its driver computes wrongly and is not offered",
            m->id, gap, how);
    }
    return SL_OK;
}

/* What a rate depends on is the weights' number and types: figures go by their bytes.
 * True when an earlier start measured this model on this device. */
static bool recall(struct sl_infer *x, uint32_t index, const struct sl_model *m) {
    const struct sl_model_figures *kept =
        sl_figures_model(&x->base.cl->figures, m->id, m->packed_bytes, false);
    if (!kept || !(kept->tokens > 0 && kept->ns > 0 && kept->ns_per_cost > 0)) {
        return false;
    }
    x->rates[index] = (struct sl_infer_rate){.all = {kept->tokens, kept->ns}};
    for (uint32_t k = 0; k < SL_LENGTHS; k++) {
        x->rates[index].length[k] =
            (struct sl_infer_span_rate){kept->length_tokens[k], kept->length_ns[k]};
    }
    x->ns_per_cost = kept->ns_per_cost;
    return true;
}

static void keep(struct sl_infer *x, uint32_t index, const struct sl_model *m) {
    struct sl_model_figures *kept =
        sl_figures_model(&x->base.cl->figures, m->id, m->packed_bytes, true);
    if (kept) {
        kept->tokens = x->rates[index].all.tokens;
        kept->ns = x->rates[index].all.ns;
        for (uint32_t k = 0; k < SL_LENGTHS; k++) {
            kept->length_tokens[k] = x->rates[index].length[k].tokens;
            kept->length_ns[k] = x->rates[index].length[k].ns;
        }
        kept->ns_per_cost = x->ns_per_cost;
        x->base.cl->figures_new = true;
    }
}

/* Every length that the model takes. What it costs in all stays what the mixed texts said. */
static int measure_lengths(struct sl_infer *x, uint32_t index, const struct sl_model *m,
                           struct sl_error *err) {
    struct sl_infer_span_rate all = x->rates[index].all;
    float *vector = x->synthetic_vector;
    uint32_t most = m->max_tokens < x->batch_tokens ? m->max_tokens : x->batch_tokens;
    int rc = SL_OK;
    x->synthetic_vector = NULL; /* the known answer is not among these texts */
    memset(x->rates[index].length, 0, sizeof x->rates[index].length);
    for (uint32_t k = 0; rc == SL_OK && k <= sl_length_class(most); k++) {
        uint32_t end = sl_length_most(k);
        x->synthetic_length = end > 0 && end < most ? end : most;
        rc = run_made_up(x, 2, MEASURE_LENGTH_NS, err);
    }
    x->synthetic_length = 0;
    x->synthetic_vector = vector;
    x->rates[index].all = all;
    return rc;
}

static int prepare_model(struct sl_infer *x, uint32_t index, struct sl_error *err) {
    const struct sl_model *m = sl_model_set_at(x->set, index);
    size_t bytes = m->bert->config.n_embd * sizeof(float);
    SL_AUTO_FREE float *alone = malloc(bytes);
    if (!alone) {
        return sl_fail(err, SL_NOMEM, "self-test");
    }
    x->synthetic_model = index;
    for (uint32_t i = 0; i < x->batch_tokens; i++) {
        x->made_up[i] = (int32_t)((i * 104729u + 7u) % m->bert->config.n_vocab);
    }
    x->synthetic_alone = true; /* also the first launch of every kernel: drivers compile then */
    int rc = run_made_up(x, 1, 0, err);
    rc = rc < 0 ? rc : check_canary(m, x->synthetic_vector, "alone", err);
    if (rc < 0) {
        return rc;
    }
    memcpy(alone, x->synthetic_vector, bytes);
    x->synthetic_alone = false;
    rc = run_made_up(x, 1, 0, err);
    /* The first full one still warms caches: the measurement begins after it. */
    if (rc == SL_OK && !recall(x, index, m)) {
        x->rates[index] = (struct sl_infer_rate){0};
        rc = run_made_up(x, MEASURE_BATCHES_MIN, MEASURE_NS, err);
        rc = rc ? rc : measure_lengths(x, index, m, err);
        if (rc == SL_OK) {
            keep(x, index, m);
        }
    }
    if (rc == SL_OK && memcmp(alone, x->synthetic_vector, bytes) != 0) {
        return sl_fail(err, SL_DEVICE,
                       "model '%s': a line's vector depends on its neighbours on this device",
                       m->id);
    }
    return rc;
}

int sl_infer_prepare(struct sl_infer *x, struct sl_error *err) {
    x->synthetic_vector = calloc(x->engine.width_cap, sizeof *x->synthetic_vector);
    if (!x->synthetic_vector) {
        return sl_fail(err, SL_NOMEM, "self-test");
    }
    int rc = SL_OK;
    for (uint32_t i = 0; rc == SL_OK && i < sl_model_set_count(x->set); i++) {
        rc = prepare_model(x, i, err);
    }
    free(x->synthetic_vector);
    x->synthetic_vector = NULL;
    x->synthetic_model = 0;
    x->tokens_total = x->lines_total = x->repeats_total = 0;
    if (rc == SL_OK && x->base.cl->figures_new) { /* else the start that measured has saved it */
        sl_infer_engine_save(&x->engine);
    }
    return rc;
}

int sl_infer_canary(struct sl_infer *x, struct sl_error *err) {
    uint32_t count = (uint32_t)sl_model_set_count(x->set);
    if (count == 0 || x->line_up_count > 0 || x->launches_queued > 0 || x->synthetic) {
        return -SL_AGAIN;
    }
    uint32_t index = x->canaries++ % count;
    const struct sl_model *m = sl_model_set_at(x->set, index);
    x->synthetic_vector = calloc(x->engine.width_cap, sizeof *x->synthetic_vector);
    if (!x->synthetic_vector) {
        return -SL_AGAIN;
    }
    const struct sl_infer_rate rate = x->rates[index];
    const double ns_per_cost = x->ns_per_cost;
    const uint64_t tokens = x->tokens_total, lines = x->lines_total, repeats = x->repeats_total;
    x->synthetic_model = index;
    x->synthetic_alone = true;
    int rc = run_made_up(x, 1, 0, err);
    rc = rc < 0 ? rc : check_canary(m, x->synthetic_vector, "again", err);
    x->synthetic_alone = false;
    sl_infer_discard(x); /* also after a stop that cut it short */
    free(x->synthetic_vector);
    x->synthetic_vector = NULL;
    x->synthetic_model = 0;
    x->rates[index] = rate;
    x->ns_per_cost = ns_per_cost;
    x->tokens_total = tokens;
    x->lines_total = lines;
    x->repeats_total = repeats;
    return rc < 0 ? rc : SL_OK;
}
