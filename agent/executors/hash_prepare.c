/* SPDX-License-Identifier: Apache-2.0
 * Before a device is offered: the vector width that suits it, its known-answer test, its rate. */
#include <string.h>

#include "agent/executors/hash_internal.h"
#include "agent/stratum/sha256.h"
#include "proto/base/text.h"

#define CPU_LOCAL 64
#define GPU_LOCAL 256
#define GPU_GROUP_NS 60e3 /* a stop waits for the groups that run */
#define GPU_ITEMS_PER_UNIT 2048
#define TUNE_NS (40 * SL_NS_PER_MS)
#define MEASURE_NS (SL_NS_PER_S + SL_NS_PER_S / 10)
#define WINDOW_GROUPS 16

/* Blocks of the main chain: 0, 125552 and 955474. */
static const char *const known_headers[] = {
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c"
    "3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db"
    "8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
    "00800520e69bbf839ec6fc8ddf6859ed4b16dcb95141b96e8fc20100000000000000000081828df54d88a521e32ef9"
    "7cd8ffa8b5617defb759089ffd3c36876872259ea62d563e6ac340021701924cd8",
};

int sl_hash_run(struct sl_hash_kernel *kernel, const struct sl_hash_input *input, uint32_t base,
                uint32_t groups, struct sl_hash_found *ret_found, int64_t *ret_ns,
                struct sl_error *err) {
    struct sl_hash_launch launch;
    int64_t start = 0;
    int64_t end = 0;
    int rc = sl_hash_kernel_enqueue(kernel, input, base, groups, &launch, err);
    if (rc != SL_OK) {
        return rc;
    }
    cl_int code = clWaitForEvents(1, &launch.read);
    int times = sl_cl_event_times(kernel->cl, launch.kernel, &start, &end, err);
    rc = sl_hash_kernel_collect(kernel, &launch, ret_found, err);
    if (code != CL_SUCCESS) {
        return sl_cl_fail(err, code, "a hash launch failed");
    }
    if (rc == SL_OK && times == SL_OK && ret_ns) {
        *ret_ns = end - start;
    }
    return rc == SL_OK ? times : rc;
}

static int self_test_failed(struct sl_error *err, const char *what) {
    return sl_fail(err, SL_DEVICE,
                   "sha256d self-test failed: %s. The device computes wrongly: update its OpenCL "
                   "driver, take back overclocking, or leave the device out of the config",
                   what);
}

static void known_input(const char *hex, const struct sl_u256 *target, uint8_t header[80],
                        struct sl_hash_input *ret_input) {
    uint32_t midstate[8];
    int rc = sl_hex_decode(hex, header, 80);
    sl_assert(rc == SL_OK);
    sl_sha256_initial(midstate);
    sl_sha256_compress(midstate, header);
    sl_hash_input_make(midstate, header + 64, target, ret_input);
}

/* The winning nonce of a real block, and nothing else, in a window around it. */
static int test_block(struct sl_hash_kernel *kernel, const char *hex, struct sl_error *err) {
    static const struct sl_u256 target = {{0, 0, 0, 0xffff0000}};
    uint8_t header[80];
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint32_t nonce = 0;
    known_input(hex, &target, header, &input);
    memcpy(&nonce, header + 76, sizeof nonce); /* little-endian in a header and on our hosts */
    uint32_t span = WINDOW_GROUPS * sl_hash_nonces_per_group(kernel);
    uint32_t base = sl_hash_nonce_of_word(nonce) - span / 3;
    int rc = sl_hash_run(kernel, &input, base, WINDOW_GROUPS, &found, NULL, err);
    if (rc != SL_OK) {
        return rc;
    }
    if (found.groups_ran != WINDOW_GROUPS) {
        return self_test_failed(err, "work-groups are missing");
    }
    if (found.count != 1 || sl_hash_found_nonce(&found, 0) != nonce) {
        return self_test_failed(err, "the nonce of a known block is not found");
    }
    return SL_OK;
}

/* A share difficulty far below 1: every nonce that the host finds good must be reported, and no
 * other. */
static int test_low_difficulty(struct sl_hash_kernel *kernel, struct sl_error *err) {
    static const struct sl_u256 target = {{0, 0, 0, UINT64_C(0x00ffffff00000000)}};
    uint8_t header[80];
    uint8_t digest[32];
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint32_t expected = 0;
    known_input(known_headers[0], &target, header, &input);
    uint32_t base = 0xfffff000; /* across the end of the words, where a sum must wrap */
    uint32_t span = 2 * sl_hash_nonces_per_group(kernel);
    int rc = sl_hash_run(kernel, &input, base, 2, &found, NULL, err);
    if (rc != SL_OK) {
        return rc;
    }
    for (uint32_t i = 0; i < span; i++) {
        uint32_t nonce = sl_hash_nonce_of_word(base + i);
        memcpy(header + 76, &nonce, sizeof nonce);
        sl_sha256d(header, sizeof header, digest);
        if (digest[31] != 0) {
            continue;
        }
        expected++;
        bool reported = false;
        for (uint32_t k = 0; k < found.count; k++) {
            reported = reported || sl_hash_found_nonce(&found, k) == nonce;
        }
        if (!reported) {
            return self_test_failed(err, "a share of low difficulty is missed");
        }
    }
    return found.count == expected ? SL_OK
                                   : self_test_failed(err, "a nonce is reported that is no share");
}

int sl_hash_self_test(struct sl_hash_kernel *kernel, struct sl_error *err) {
    for (size_t i = 0; i < sizeof known_headers / sizeof known_headers[0]; i++) {
        int rc = test_block(kernel, known_headers[i], err);
        if (rc != SL_OK) {
            return rc;
        }
    }
    return test_low_difficulty(kernel, err);
}

int sl_hash_canary(struct sl_hash_kernel *kernel, uint32_t turn, struct sl_error *err) {
    const size_t count = sizeof known_headers / sizeof known_headers[0];
    return test_block(kernel, known_headers[turn % count], err);
}

/* Device time of one group, from a launch of about TUNE_NS. */
static int time_groups(struct sl_hash_kernel *kernel, double *ret_ns_per_group,
                       struct sl_error *err) {
    static const uint32_t midstate[8] = {0};
    static const uint8_t tail[12] = {0};
    static const struct sl_u256 target = {{0}};
    struct sl_hash_input input;
    struct sl_hash_found found;
    uint32_t groups = kernel->cl->compute_units * 4;
    uint32_t most = (uint32_t)(((uint64_t)1 << 32) / sl_hash_nonces_per_group(kernel));
    int64_t ns = 0;
    sl_hash_input_make(midstate, tail, &target, &input);
    /* The first launch pays for what the driver puts off until then. */
    int rc = sl_hash_run(kernel, &input, 0, groups, &found, &ns, err);
    for (int i = 0; rc == SL_OK && i < 8; i++) {
        rc = sl_hash_run(kernel, &input, 0, groups, &found, &ns, err);
        ns = ns > 0 ? ns : 1;
        if (rc != SL_OK || ns > TUNE_NS / 2 || groups == most) {
            break;
        }
        double grow = (double)TUNE_NS / (double)ns;
        double wanted = (double)groups * (grow > 32.0 ? 32.0 : grow);
        groups = wanted > (double)most ? most : (uint32_t)wanted;
    }
    if (rc == SL_OK) {
        *ret_ns_per_group = (double)ns / groups;
    }
    return rc;
}

static uint32_t native_width(const struct sl_cl *cl) {
    uint32_t width = 16;
    while (width > cl->vector_width_int) {
        width /= 2;
    }
    return width ? width : 1;
}

static uint32_t pick_local(const struct sl_cl *cl, bool gpu) {
    uint32_t local = gpu ? GPU_LOCAL : CPU_LOCAL;
    while (local > cl->work_group_max) {
        local /= 2;
    }
    return local;
}

/* GPUs differ in whether a work-item does better with one nonce or a few: the quickest wins. */
static int pick_gpu_width(struct sl_cl *cl, uint32_t local, uint32_t *ret_width,
                          double *ret_ns_per_nonce, struct sl_error *err) {
    static const uint32_t widths[] = {1, 2, 4};
    double best = 0.0;
    uint32_t best_width = 0;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        struct sl_hash_kernel kernel;
        double ns = 0.0;
        int rc = sl_hash_kernel_open(cl, widths[i], local, 1, &kernel, err);
        if (rc != SL_OK) {
            return rc;
        }
        rc = time_groups(&kernel, &ns, err);
        ns /= sl_hash_nonces_per_group(&kernel);
        sl_hash_kernel_save(&kernel);
        sl_hash_kernel_close(&kernel);
        if (rc != SL_OK) {
            return rc;
        }
        if (best_width == 0 || ns < best) {
            best = ns;
            best_width = widths[i];
        }
    }
    *ret_width = best_width;
    *ret_ns_per_nonce = best;
    return SL_OK;
}

/* Vectors per work-item, so that a group is long enough to be worth starting and short enough to
 * wait for; a power of two, and no more nonces in a group than the ring of candidates holds. */
static uint32_t pick_rounds(const struct sl_cl *cl, uint32_t width, uint32_t local,
                            double ns_per_nonce) {
    double together = (double)cl->compute_units * GPU_ITEMS_PER_UNIT / local;
    double group_ns = ns_per_nonce * width * local * together;
    uint32_t rounds = 1;
    while (rounds < 64 && group_ns * rounds * 2 <= GPU_GROUP_NS &&
           rounds * 2 * width * local <= SL_HASH_RING) {
        rounds *= 2;
    }
    return rounds;
}

int sl_hash_open_best(struct sl_cl *cl, struct sl_hash_kernel *ret_kernel, struct sl_error *err) {
    bool gpu = !cl->is_cpu || cl->force_gpu_kernels;
    uint32_t local = pick_local(cl, gpu);
    uint32_t width = native_width(cl);
    uint32_t rounds = 1;
    if (gpu) {
        double ns_per_nonce = 0.0;
        int rc = pick_gpu_width(cl, local, &width, &ns_per_nonce, err);
        if (rc != SL_OK) {
            return rc;
        }
        rounds = pick_rounds(cl, width, local, ns_per_nonce);
    }
    return sl_hash_kernel_open(cl, width, local, rounds, ret_kernel, err);
}

/* As in service: two launches queued, device time by events, for at least a second. */
static int measure(struct sl_hash_executor *hash, struct sl_error *err) {
    struct sl_executor *ex = &hash->base;
    int64_t device_ns = 0;
    int rc = SL_OK;
    ex->ops->synthetic(ex, true);
    while (rc == SL_OK && device_ns < MEASURE_NS) {
        struct sl_launch launches[SL_HASH_AHEAD];
        uint32_t n = 0;
        while (rc == SL_OK && n < SL_HASH_AHEAD) {
            rc = ex->ops->enqueue(ex, &launches[n], err);
            sl_assert(rc != 0);
            n += rc == 1;
            rc = rc == 1 ? SL_OK : rc;
        }
        clFlush(ex->cl->queue);
        for (uint32_t i = 0; i < n; i++) {
            clWaitForEvents(1, &launches[i].last);
            int got = sl_cl_event_times(ex->cl, launches[i].last, &launches[i].start_ns,
                                        &launches[i].end_ns, err);
            clReleaseEvent(launches[i].first);
            clReleaseEvent(launches[i].last);
            int done = ex->ops->complete(ex, &launches[i], err);
            rc = rc == SL_OK ? (got == SL_OK ? done : got) : rc;
            device_ns += launches[i].end_ns - launches[i].start_ns;
        }
    }
    ex->ops->synthetic(ex, false);
    return rc;
}

/* True when an earlier start measured this kernel in this shape. */
static bool recall(struct sl_hash_executor *hash) {
    const struct sl_hash_figures *kept = &hash->base.cl->figures.hash;
    const struct sl_hash_kernel *kernel = &hash->kernel;
    if (!(kept->rate_ns > 0.0 && kept->rate_nonces > 0.0 && kept->ns_per_group > 0.0) ||
        kept->width != kernel->width || kept->local != kernel->local ||
        kept->rounds != kernel->rounds) {
        return false;
    }
    hash->ns_per_group = kept->ns_per_group;
    hash->rate_nonces = kept->rate_nonces;
    hash->rate_ns = kept->rate_ns;
    return true;
}

static void keep(struct sl_hash_executor *hash) {
    hash->base.cl->figures.hash = (struct sl_hash_figures){.width = hash->kernel.width,
                                                           .local = hash->kernel.local,
                                                           .rounds = hash->kernel.rounds,
                                                           .ns_per_group = hash->ns_per_group,
                                                           .rate_nonces = hash->rate_nonces,
                                                           .rate_ns = hash->rate_ns};
    hash->base.cl->figures_new = true;
}

int sl_hash_prepare(struct sl_executor *ex, struct sl_error *err) {
    struct sl_hash_executor *hash = (struct sl_hash_executor *)ex;
    int rc = sl_hash_open_best(ex->cl, &hash->kernel, err);
    hash->open = rc == SL_OK;
    bool known = rc == SL_OK && recall(hash);
    rc = rc == SL_OK && !known ? time_groups(&hash->kernel, &hash->ns_per_group, err) : rc;
    rc = rc == SL_OK ? sl_hash_self_test(&hash->kernel, err) : rc;
    rc = rc == SL_OK && !known ? measure(hash, err) : rc;
    if (rc == SL_OK && !known) {
        keep(hash);
        sl_hash_kernel_save(&hash->kernel);
    }
    return rc;
}
