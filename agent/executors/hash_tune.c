/* SPDX-License-Identifier: Apache-2.0
 * Which shape of the kernel is quickest on a device. What a device says of itself narrows the
 * choice; the rest is timed, once for device, driver and source, and kept (agent/device/tuning.h).
 *
 * One property after the other, each with the best of those before, since all combinations would
 * take minutes to compile: midstates and width, then the group's size, then how the functions are
 * written. A shape that the device's compiler refuses is no candidate. */
#include <string.h>

#include "agent/executors/hash_internal.h"
#include "agent/kernels/kernels.h"
#include "proto/base/log.h"

#define CPU_LOCAL 64
#define GPU_LOCAL 256
#define GPU_GROUP_NS 60e3 /* a stop waits for the groups that run */
#define GPU_ITEMS_PER_UNIT 2048
#define TRIAL_NS (20 * SL_NS_PER_MS)
#define SHAPES_MAX 6 /* compared at a time */
/* Time on the device for all trials; what is not tried by then is not chosen. */
#define BUDGET_NS (3 * SL_NS_PER_S)
#define HOPELESS 1.1 /* so much slower than the quickest after HOPELESS_TRIALS: not timed again */
#define HOPELESS_TRIALS 3
#define TASK "sha256d"
#define TASK_VALUES 7

/* On its way to the best shape. */
struct search {
    struct sl_cl *cl;
    int64_t spent_ns;
    struct sl_hash_shape best;
    double best_ns; /* per hash; 0: none yet */
};

int sl_hash_time_groups(struct sl_hash_kernel *kernel, int64_t want_ns, double *ret_ns_per_group,
                        struct sl_error *err) {
    static const uint32_t midstate[8] = {0};
    static const uint8_t tail[12] = {0};
    static const struct sl_u256 target = {{0}};
    struct sl_hash_input input;
    struct sl_hash_found found;
    sl_assert(kernel->cl); /* it is open */
    uint32_t groups = kernel->cl->compute_units * 4;
    uint32_t most = (uint32_t)(((uint64_t)1 << 32) / sl_hash_nonces_per_group(kernel));
    int64_t ns = 0;
    sl_hash_input_make(midstate, tail, &target, &input);
    while (input.mid_count < kernel->shape.mids) {
        sl_hash_input_add(&input, midstate);
    }
    /* The first launch pays for what the driver puts off until then. */
    int rc = sl_hash_run(kernel, &input, 0, groups, &found, &ns, err);
    for (int i = 0; rc == SL_OK && i < 8; i++) {
        rc = sl_hash_run(kernel, &input, 0, groups, &found, &ns, err);
        ns = ns > 0 ? ns : 1;
        if (rc != SL_OK || ns > want_ns / 2 || groups == most) {
            break;
        }
        double grow = (double)want_ns / (double)ns;
        double wanted = (double)groups * (grow > 32.0 ? 32.0 : grow);
        groups = wanted > (double)most ? most : (uint32_t)wanted;
    }
    if (rc == SL_OK) {
        *ret_ns_per_group = (double)ns / groups;
    }
    return rc;
}

/* Vectors per work-item, so that a group is long enough to be worth starting and short enough to
 * wait for; a power of two, and no more hashes in a group than the ring of candidates holds. */
static uint32_t pick_rounds(const struct sl_cl *cl, const struct sl_hash_shape *shape,
                            double ns_per_hash) {
    double together = (double)cl->compute_units * GPU_ITEMS_PER_UNIT / shape->local;
    uint32_t hashes = shape->width * shape->local * shape->mids;
    double group_ns = ns_per_hash * hashes * together;
    uint32_t rounds = 1;
    while (rounds < 64 && group_ns * rounds * 2 <= GPU_GROUP_NS &&
           rounds * 2 * hashes <= SL_HASH_RING) {
        rounds *= 2;
    }
    return rounds;
}

/* A shape that is compared with others. */
struct trial {
    struct sl_hash_kernel kernel;
    bool open;
    double ns; /* per hash, the best so far; 0: none */
    struct sl_hash_trials times;
};

static int run_trial(struct search *search, struct trial *trial, bool first, struct sl_error *err) {
    double ns = 0.0;
    int64_t before = sl_clock_mono().ns;
    int rc = sl_hash_time_groups(&trial->kernel, TRIAL_NS, &ns, err);
    if (rc != SL_OK) {
        return rc;
    }
    /* The first pays for what drivers put off, which may be a compiler. */
    search->spent_ns += first ? 0 : sl_clock_mono().ns - before;
    ns /= sl_hash_hashes_per_group(&trial->kernel);
    trial->ns = trial->ns == 0.0 || ns < trial->ns ? ns : trial->ns;
    trial->times.ns[trial->times.count++] = ns;
    return SL_OK;
}

static void say_trial(const struct search *search, const struct sl_hash_shape *shape,
                      const struct trial *trial, const struct sl_error *err) {
    sl_log(SL_LOG_DEBUG, "hash.tune",
           "device=%u width=%u headers=%u work_group=%u logic=%d rotate=%d flow=%d mhs=%.3f %s",
           search->cl->index, shape->width, shape->mids, shape->local, (int)shape->logic,
           (int)shape->rotate, (int)shape->flow, trial->ns > 0.0 ? 1e3 / trial->ns : 0.0,
           err->text);
}

static void close_trial(struct trial *trial) {
    if (trial->open) {
        sl_hash_kernel_save(&trial->kernel);
        sl_hash_kernel_close(&trial->kernel);
        trial->open = false;
    }
}

static double least_ns(const struct trial *trials, uint32_t count) {
    double least = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        bool timed = trials[i].open && trials[i].ns > 0.0;
        least = timed && (least == 0.0 || trials[i].ns < least) ? trials[i].ns : least;
    }
    return least;
}

/* Each shape once more, in turn; the first time it is built. A shape that fails is no candidate
 * from then on, and `err` says why. */
static void time_all(struct search *search, const struct sl_hash_shape *shapes,
                     struct trial *trials, uint32_t count, uint32_t round, int *last_rc,
                     struct sl_error *err) {
    const double limit = least_ns(trials, count) * HOPELESS;
    for (uint32_t i = 0; i < count && (round == 0 || search->spent_ns < BUDGET_NS); i++) {
        struct trial *trial = &trials[i];
        struct sl_error why = {0};
        int rc = SL_OK;
        if (round == 0) {
            rc = sl_hash_shape_fits(search->cl, &shapes[i])
                     ? sl_hash_kernel_open(search->cl, &shapes[i], &trial->kernel, &why)
                     : sl_fail(&why, SL_INVALID, "does not fit the device");
            trial->open = rc == SL_OK;
        }
        bool hopeless = round >= HOPELESS_TRIALS && trial->ns > limit;
        rc = trial->open && !hopeless ? run_trial(search, trial, round == 0, &why) : rc;
        if (rc != SL_OK) {
            say_trial(search, &shapes[i], trial, &why);
            close_trial(trial);
            trial->times.count = 0;
            *last_rc = rc;
            *err = why;
        }
    }
}

/* The quickest of the shapes becomes search->best. In turns, since other work on the machine comes
 * and goes. An error only where none of them runs. */
static int compare(struct search *search, const struct sl_hash_shape *shapes, uint32_t count,
                   struct sl_error *err) {
    struct trial trials[SHAPES_MAX];
    struct sl_hash_trials times[SHAPES_MAX];
    int last_rc = SL_OK;
    memset(trials, 0, sizeof trials);
    for (uint32_t round = 0; round < SL_HASH_TRIALS; round++) {
        time_all(search, shapes, trials, count, round, &last_rc, err);
    }
    for (uint32_t i = 0; i < count; i++) {
        times[i] = trials[i].times;
        if (trials[i].open) {
            say_trial(search, &shapes[i], &trials[i], &(struct sl_error){0});
            close_trial(&trials[i]);
        }
    }
    uint32_t best = sl_hash_pick(times, count);
    if (best == count) {
        return last_rc;
    }
    search->best = shapes[best];
    search->best_ns = trials[best].ns;
    return SL_OK;
}

static uint32_t native_width(const struct sl_cl *cl) {
    uint32_t width = 16;
    while (width > cl->vector_width_int) {
        width /= 2;
    }
    return width ? width : 1;
}

static uint32_t fitting_local(const struct sl_cl *cl, uint32_t local) {
    while (local > cl->work_group_max) {
        local /= 2;
    }
    return local;
}

static struct sl_hash_shape plain_shape(const struct sl_cl *cl, bool gpu) {
    return (struct sl_hash_shape){.width = gpu ? 1 : native_width(cl),
                                  .local = fitting_local(cl, gpu ? GPU_LOCAL : CPU_LOCAL),
                                  .rounds = 1,
                                  .mids = 1};
}

static int search_cpu(struct search *search, struct sl_error *err) {
    struct sl_hash_shape shapes[4] = {search->best, search->best, search->best, search->best};
    /* 15 % fewer operations, and registers for one midstate; then an eighth fewer. */
    shapes[0].mids = 16;
    shapes[0].flow = SL_HASH_FLOW_IN_TURN;
    shapes[0].local = fitting_local(search->cl, CPU_LOCAL / 4); /* as the ring of candidates asks */
    shapes[1].mids = 4;
    shapes[3] = shapes[0];
    shapes[3].flow = SL_HASH_FLOW_SHA;
    shapes[3].width = SL_HASH_SHA_WIDTH_MAX;
    shapes[3].local = fitting_local(search->cl, CPU_LOCAL);
    /* 2.5 times as quick as 256-bit vectors, which a compiler takes half a minute for; beside
     * 512-bit ones it is open. A compiler may still refuse it. */
    if (search->cl->has_sha && search->best.width < 16 &&
        compare(search, shapes + 3, 1, err) == SL_OK) {
        return SL_OK;
    }
    return compare(search, shapes, search->cl->has_sha ? 4 : 3, err);
}

/* Bitfield insert and funnel shift are AMD's, LOP3 is NVIDIA's; what others have is not known, so
 * what is no extension of another vendor is tried on all. */
static int search_functions(struct search *search, struct sl_error *err) {
    char extensions[4096];
    struct sl_hash_shape shapes[4] = {search->best, search->best, search->best, search->best};
    sl_cl_device_text(search->cl->device, CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    bool nvidia = strstr(extensions, "cl_nv_") != NULL;
    bool media = strstr(extensions, "cl_amd_media_ops") != NULL;
    shapes[1].logic = nvidia ? SL_HASH_LOGIC_TABLE : SL_HASH_LOGIC_SELECT;
    shapes[2].rotate = media ? SL_HASH_ROTATE_ALIGN : SL_HASH_ROTATE_SHIFTS;
    shapes[3].logic = shapes[1].logic;
    shapes[3].rotate = shapes[2].rotate;
    return compare(search, shapes, 4, err);
}

static int search_gpu(struct search *search, struct sl_error *err) {
    static const struct {
        uint32_t width, mids;
    } rows[] = {{1, 4}, {1, 2}, {1, 1}, {2, 2}, {2, 1}, {4, 1}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct sl_hash_shape shapes[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        shapes[i] = search->best;
        shapes[i].width = rows[i].width;
        shapes[i].mids = rows[i].mids;
    }
    int rc = compare(search, shapes, ROWS, err);
    if (rc == SL_OK) {
        shapes[0] = shapes[1] = shapes[2] = search->best;
        shapes[1].local = search->best.local > 1 ? search->best.local / 2 : 1;
        shapes[2].local = search->best.local > 3 ? search->best.local / 4 : 1;
        rc = compare(search, shapes, 3, err);
    }
    rc = rc == SL_OK ? search_functions(search, err) : rc;
    search->best.rounds = pick_rounds(search->cl, &search->best, search->best_ns);
    return rc;
}

/* The one for a single header beside the best: the same but for the midstates and, of vectors, the
 * flow, and as many hashes in a group as it may have. */
static void choose(const struct sl_cl *cl, const struct sl_hash_shape *best,
                   struct sl_hash_choice *ret_choice) {
    ret_choice->count = best->mids > 1 ? 2 : 1;
    ret_choice->shapes[0] = *best;
    ret_choice->shapes[0].mids = 1;
    if (best->flow == SL_HASH_FLOW_IN_TURN) {
        ret_choice->shapes[0].flow = SL_HASH_FLOW_TOGETHER;
        ret_choice->shapes[0].local = fitting_local(cl, best->local * 4);
    }
    ret_choice->shapes[1] = *best;
}

static bool recall(const struct sl_cl *cl, struct sl_hash_choice *ret_choice) {
    struct sl_tuned tuned;
    if (!sl_tuning_find(cl->tuning, TASK, sl_kernel_sha256d, &tuned) ||
        tuned.count != TASK_VALUES) {
        return false;
    }
    const uint32_t *v = tuned.values;
    const struct sl_hash_shape best = {.width = v[0],
                                       .local = v[1],
                                       .rounds = v[2],
                                       .mids = v[3],
                                       .logic = (enum sl_hash_logic)v[4],
                                       .rotate = (enum sl_hash_rotate)v[5],
                                       .flow = (enum sl_hash_flow)v[6]};
    if (!sl_hash_shape_fits(cl, &best)) {
        return false;
    }
    choose(cl, &best, ret_choice);
    ret_choice->rate_hs = tuned.figure;
    return true;
}

static void say(const struct sl_cl *cl, const struct sl_hash_choice *choice, const char *how) {
    static const char *const logics[] = {"plain", "select", "table"};
    static const char *const rotates[] = {"plain", "align", "shifts"};
    static const char *const flows[] = {"together", "in_turn", "sha"};
    const struct sl_hash_shape *best = &choice->shapes[choice->count - 1];
    sl_log(SL_LOG_INFO, "hash.shape",
           "device=%u width=%u work_group=%u rounds=%u headers=%u logic=%s rotate=%s flow=%s "
           "mhs=%.2f (%s)",
           cl->index, best->width, best->local, best->rounds, best->mids, logics[best->logic],
           rotates[best->rotate], flows[best->flow], (double)choice->rate_hs / 1e6, how);
}

int sl_hash_choose(struct sl_cl *cl, struct sl_hash_choice *ret_choice, struct sl_error *err) {
    const bool gpu = !cl->is_cpu || cl->force_gpu_kernels;
    struct search search = {.cl = cl};
    memset(ret_choice, 0, sizeof *ret_choice);
    if (recall(cl, ret_choice)) {
        say(cl, ret_choice, "as tuned earlier");
        return SL_OK;
    }
    search.best = plain_shape(cl, gpu);
    int rc = gpu ? search_gpu(&search, err) : search_cpu(&search, err);
    if (rc != SL_OK) {
        return rc;
    }
    const struct sl_hash_shape *best = &search.best;
    const struct sl_tuned tuned = {.figure = (uint64_t)(1e9 / search.best_ns),
                                   .count = TASK_VALUES,
                                   .values = {best->width, best->local, best->rounds, best->mids,
                                              (uint32_t)best->logic, (uint32_t)best->rotate,
                                              (uint32_t)best->flow}};
    choose(cl, best, ret_choice);
    ret_choice->rate_hs = tuned.figure;
    say(cl, ret_choice, "tuned now");
    return sl_tuning_put(cl->tuning, TASK, sl_kernel_sha256d, &tuned);
}
