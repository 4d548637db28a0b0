/* SPDX-License-Identifier: Apache-2.0
 * The hash executor: takes headers from the newest job, keeps two launches queued, counts what ran,
 * and re-hashes every candidate before the loop hears of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/executors/hash_internal.h"

#define WORDS ((uint64_t)1 << 32)
/* The reported rate follows work with this time constant. */
#define RATE_FADE_NS 10e9
/* A launch finds this many times fewer candidates than the ring holds, on average. */
#define RING_MARGIN 8

/* With fewer headers than the kernel's shape has, a group takes less time by about as much: what is
 * kept is of all of them. */
static double ns_per_group(const struct sl_hash_executor *hash, uint32_t which, uint32_t headers) {
    return hash->ns_per_group[which] * headers / hash->kernels[which].shape.mids;
}

uint32_t sl_hash_launch_groups(const struct sl_hash_executor *hash, uint32_t which,
                               uint32_t headers, uint32_t top) {
    const struct sl_hash_kernel *kernel = &hash->kernels[which];
    double groups = hash->launch_ms * 1e6 / ns_per_group(hash, which, headers);
    double most = (double)(SL_HASH_RING - 64) / RING_MARGIN * (double)WORDS / ((double)top + 1.0) /
                  sl_hash_nonces_per_group(kernel) / headers;
    groups = fmin(groups, most);
    groups = fmin(groups, (double)WORDS / sl_hash_nonces_per_group(kernel));
    return groups < 1.0 ? 1 : (uint32_t)groups;
}

static void drop_job(struct sl_hash_executor *hash) {
    sl_job_unref(hash->job);
    hash->job = NULL;
    hash->taken.count = 0;
    hash->has_work = false;
    hash->exhausted = false;
}

static void take_job(struct sl_hash_executor *hash, struct sl_device_cmd *cmd) {
    struct sl_job *old = hash->job;
    struct sl_job *job = sl_take(&cmd->job);
    /* What is queued is worth finishing unless its shares would be stale. */
    bool stale = old && (!job || job->clean || job->session != old->session ||
                         memcmp(job->prevhash, old->prevhash, sizeof job->prevhash) != 0);
    bool layout = cmd->extranonce2_slot != hash->slot || cmd->extranonce2_slots != hash->slots;
    drop_job(hash);
    hash->job = job;
    if (job && (layout || hash->cursor.slots == 0)) {
        hash->slot = cmd->extranonce2_slot;
        hash->slots = cmd->extranonce2_slots;
        if (sl_work_cursor_init(&hash->cursor, hash->slot, hash->slots, NULL) != SL_OK) {
            /* No part of the space is ours, so there is nothing to search. */
            memset(&hash->cursor, 0, sizeof hash->cursor);
            hash->exhausted = true;
        }
    }
    hash->base.cut = hash->base.cut || (stale && hash->flight_count > 0 && !hash->synthetic);
}

static void hash_command(struct sl_executor *ex, struct sl_device_cmd *cmd) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    if (cmd->kind == SL_DEVCMD_JOB) {
        take_job(hash, cmd);
    }
}

/* Refills `taken`: one header, or as many as kernels[1] takes while the cursor stays at one root.
 */
static bool take_headers(struct sl_hash_executor *hash) {
    struct sl_hash_batch *taken = &hash->taken;
    const uint32_t most = hash->kernels[hash->kernel_count - 1].shape.mids;
    taken->count = 0;
    hash->taken_at = 0;
    while (taken->count < most && (taken->count == 0 || sl_work_same_root(&hash->cursor))) {
        if (sl_work_next(&hash->cursor, hash->job, &taken->works[taken->count], NULL) != SL_OK) {
            break;
        }
        taken->count++;
    }
    return taken->count > 0;
}

static bool takes(const struct sl_hash_kernel *kernel, uint32_t headers) {
    const struct sl_hash_shape *shape = &kernel->shape;
    return headers == shape->mids || (sl_hash_shape_takes_fewer(shape) && headers > 1);
}

/* The next of the headers taken, or all of them. */
static void enter_headers(struct sl_hash_executor *hash) {
    const struct sl_hash_batch *taken = &hash->taken;
    struct sl_hash_batch *batch = &hash->batch;
    bool together = hash->kernel_count > 1 && takes(&hash->kernels[1], taken->count);
    hash->which = together ? 1 : 0;
    batch->count = together ? taken->count : 1;
    memcpy(batch->works, taken->works + hash->taken_at, batch->count * sizeof batch->works[0]);
    hash->taken_at += batch->count;
    const struct sl_work *work = batch->works;
    sl_hash_input_make(work->midstate, work->header + 64, &work->target, &hash->input);
    for (uint32_t i = 1; i < batch->count; i++) {
        sl_hash_input_add(&hash->input, work[i].midstate);
    }
    hash->has_work = true;
    hash->next_word = 0;
}

/* False when there is nothing to hash. */
static bool next_input(struct sl_hash_executor *hash) {
    if (hash->has_work && hash->next_word < WORDS) {
        return true;
    }
    if (hash->synthetic) {
        hash->next_word = 0;
        return hash->has_work;
    }
    if (!hash->job || hash->exhausted) {
        return false;
    }
    if (hash->taken_at >= hash->taken.count && !take_headers(hash)) {
        /* Used up until the next job; the pool sends one at least every few minutes. */
        hash->exhausted = true;
        hash->has_work = false;
        return false;
    }
    enter_headers(hash);
    return true;
}

static int hash_enqueue(struct sl_executor *ex, struct sl_launch *ret_launch,
                        struct sl_error *err) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    if (hash->flight_count == SL_HASH_AHEAD || !next_input(hash)) {
        return 0;
    }
    struct sl_hash_kernel *kernel = &hash->kernels[hash->which];
    const uint32_t per_group = sl_hash_nonces_per_group(kernel);
    uint64_t left = (WORDS - hash->next_word) / per_group;
    uint64_t groups = sl_hash_launch_groups(hash, hash->which, hash->batch.count, hash->input.top);
    groups = groups < left ? groups : left;
    uint32_t at = (hash->flight_first + hash->flight_count) % SL_HASH_AHEAD;
    struct sl_hash_flight *flight = &hash->flights[at];
    int rc = sl_hash_kernel_enqueue(kernel, &hash->input, (uint32_t)hash->next_word,
                                    (uint32_t)groups, &flight->launch, err);
    if (rc != SL_OK) {
        return rc;
    }
    flight->batch = hash->batch;
    flight->which = hash->which;
    flight->synthetic = hash->synthetic;
    hash->flight_count++;
    hash->next_word += groups * per_group;
    /* One reference each for first and last; the executor keeps its own until it collects. */
    clRetainEvent(flight->launch.kernel);
    clRetainEvent(flight->launch.kernel);
    ret_launch->first = flight->launch.kernel;
    ret_launch->last = flight->launch.kernel;
    ret_launch->tag = at;
    return 1;
}

static uint32_t top_of_hash(const uint8_t hash[32]) {
    return (uint32_t)hash[31] << 24 | (uint32_t)hash[30] << 16 | (uint32_t)hash[29] << 8 | hash[28];
}

static void check_candidate(struct sl_hash_executor *hash, const struct sl_work *work,
                            uint32_t nonce) {
    uint8_t digest[32];
    sl_work_hash(work, nonce, digest);
    if (!sl_hash_meets(digest, &work->target)) {
        /* The device looks at the top 32 bits only; above those it is wrong. */
        if (top_of_hash(digest) > (uint32_t)(work->target.limb[3] >> 32)) {
            hash->candidates_bad++;
        }
        return;
    }
    struct sl_device_event event = {.kind = SL_DEVEV_CANDIDATE,
                                    .epoch = hash->base.epoch,
                                    .mode = SL_MODE_HASH,
                                    .at = sl_clock_mono()};
    event.candidate.work = *work;
    event.candidate.nonce = nonce;
    sl_cl_emit(hash->base.cl, &event);
}

static void count_launch(struct sl_hash_executor *hash, const struct sl_launch *launch,
                         const struct sl_hash_flight *flight, uint32_t ran) {
    double ns = (double)(launch->end_ns - launch->start_ns);
    const struct sl_hash_kernel *kernel = &hash->kernels[flight->which];
    const uint32_t headers = flight->batch.count;
    double hashes = (double)ran * sl_hash_nonces_per_group(kernel) * headers;
    if (ns <= 0.0) {
        return;
    }
    double keep = exp(-ns / RATE_FADE_NS);
    hash->rate_hashes = hash->rate_hashes * keep + hashes;
    hash->rate_ns = hash->rate_ns * keep + ns;
    if (ran == flight->launch.groups) {
        /* Slowly, so that one disturbed launch does not change the length of all. */
        double *per_group = &hash->ns_per_group[flight->which];
        *per_group += (ns / ran * kernel->shape.mids / headers - *per_group) / 8;
    }
}

/* The loop learns when the device began with a job, once for each. */
static void report_start(struct sl_hash_executor *hash, const struct sl_hash_flight *flight,
                         const struct sl_launch *launch) {
    uint64_t serial = flight->batch.works[0].job_serial;
    if (serial == hash->started_serial) {
        return;
    }
    hash->started_serial = serial;
    struct sl_device_event event = {.kind = SL_DEVEV_JOB_STARTED,
                                    .epoch = hash->base.epoch,
                                    .mode = SL_MODE_HASH,
                                    .unit_id = serial,
                                    .at = {launch->start_ns}};
    sl_cl_emit(hash->base.cl, &event);
}

static int hash_complete(struct sl_executor *ex, struct sl_launch *launch, struct sl_error *err) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    struct sl_hash_flight *flight = &hash->flights[hash->flight_first];
    struct sl_hash_launch own = flight->launch;
    struct sl_hash_found found;
    sl_assert(hash->flight_count > 0 && launch->tag == hash->flight_first);
    hash->flight_first = (hash->flight_first + 1) % SL_HASH_AHEAD;
    hash->flight_count--;
    struct sl_hash_kernel *kernel = &hash->kernels[flight->which];
    int rc = sl_hash_kernel_collect(kernel, &own, &found, err);
    if (rc != SL_OK) {
        return rc;
    }
    count_launch(hash, launch, flight, found.groups_ran);
    if (flight->synthetic) {
        return SL_OK;
    }
    if (found.groups_ran > 0) {
        report_start(hash, flight, launch);
    }
    hash->hashes_total +=
        (uint64_t)found.groups_ran * sl_hash_nonces_per_group(kernel) * flight->batch.count;
    hash->candidates_lost += found.lost;
    for (uint32_t i = 0; i < found.count; i++) {
        uint32_t mid = sl_hash_found_mid(&found, i);
        if (mid >= flight->batch.count) {
            hash->candidates_bad++;
            continue;
        }
        check_candidate(hash, &flight->batch.works[mid], sl_hash_found_nonce(&found, i));
    }
    return SL_OK;
}

/* Only groups that ran were counted, and nonces are plentiful: nothing is repeated. */
static int hash_halted(struct sl_executor *ex, struct sl_error *err) {
    (void)ex;
    (void)err;
    return SL_OK;
}

static void hash_stats(struct sl_executor *ex, struct sl_device_stats *stats) {
    const struct sl_hash_executor *hash = (const struct sl_hash_executor *)ex;
    if (hash->rate_ns > 0.0) {
        stats->hash_rate_hs = (uint64_t)(hash->rate_hashes / hash->rate_ns * 1e9);
    }
    stats->hashes_total = hash->hashes_total;
    stats->candidates_bad = hash->candidates_bad + hash->candidates_lost;
}

/* A header that no pool asked for, with a target that next to nothing meets. */
static void hash_synthetic(struct sl_executor *ex, bool on) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    static const uint8_t tail[12] = {0};
    hash->synthetic = on;
    hash->has_work = on;
    hash->next_word = 0;
    hash->taken.count = 0;
    memset(&hash->batch, 0, sizeof hash->batch);
    if (on) {
        const struct sl_work *work = hash->batch.works;
        hash->which = hash->kernel_count - 1;
        hash->batch.count = hash->kernels[hash->which].shape.mids;
        sl_hash_input_make(work->midstate, tail, &work->target, &hash->input);
        for (uint32_t i = 1; i < hash->batch.count; i++) {
            sl_hash_input_add(&hash->input, work->midstate);
        }
    }
}

static int hash_canary(struct sl_executor *ex, struct sl_error *err) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    if (hash->kernel_count == 0 || hash->flight_count > 0) {
        return -SL_AGAIN;
    }
    uint32_t turn = hash->canaries++; /* every kernel in turn, each with every answer */
    return sl_hash_canary(&hash->kernels[turn % hash->kernel_count], turn / hash->kernel_count,
                          err);
}

static void hash_destroy(struct sl_executor *ex) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    struct sl_hash_found found;
    while (hash->flight_count > 0) {
        struct sl_hash_flight *flight = &hash->flights[hash->flight_first];
        sl_hash_kernel_collect(&hash->kernels[flight->which], &flight->launch, &found, NULL);
        hash->flight_first = (hash->flight_first + 1) % SL_HASH_AHEAD;
        hash->flight_count--;
    }
    for (uint32_t i = 0; i < hash->kernel_count; i++) {
        sl_hash_kernel_close(&hash->kernels[i]);
    }
    drop_job(hash);
    free(hash);
}

static const struct sl_executor_ops hash_ops = {
    .name = "sha256d",
    .mode = SL_MODE_HASH,
    .prepare = sl_hash_prepare,
    .command = hash_command,
    .enqueue = hash_enqueue,
    .complete = hash_complete,
    .halted = hash_halted,
    .stats = hash_stats,
    .destroy = hash_destroy,
    .synthetic = hash_synthetic,
    .canary = hash_canary,
};

int sl_hash_executor_create(struct sl_cl *cl, uint32_t launch_ms, struct sl_executor **ret_ex,
                            struct sl_error *err) {
    sl_assert(launch_ms > 0);
    struct sl_hash_executor *hash = calloc(1, sizeof *hash);
    if (!hash) {
        return sl_fail(err, SL_NOMEM, "no memory for the hash executor");
    }
    hash->base.ops = &hash_ops;
    hash->base.cl = cl;
    hash->launch_ms = launch_ms;
    hash->ns_per_group[0] = hash->ns_per_group[1] = 1e5; /* until it is measured */
    *ret_ex = &hash->base;
    return SL_OK;
}
